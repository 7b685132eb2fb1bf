// ESLint judges what needs types, and nothing else: what needs none, and all that is form, is Biome's (biome.json).
import { configs, parser, plugin } from 'typescript-eslint'

// Without what they bring along for rules of ESLint's own.
const typed = configs.strictTypeCheckedOnly.find(({ name }) => name?.endsWith('/strict-type-checked-only')).rules

const files = ['src', 'test', 'bench', 'soak'].map((folder) => `${folder}/**/*.ts`)

export default [
  {
    files,
    plugins: { '@typescript-eslint': plugin },
    languageOptions: {
      parser,
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...typed,
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            // tap waits for its tests itself.
            { from: 'package', package: '@tapjs/test', name: 'test' },
            // A promise of ours whose rejection is no surprise to a host that does not look (src/incident.ts).
            { from: 'file', path: 'src/incident.ts', name: 'resolve' },
          ],
        },
      ],
      // What is passed on as it was given is an Error where it was one: a signal's reason is anything.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      // A string is spread for its characters.
      '@typescript-eslint/no-misused-spread': ['error', { allow: [{ from: 'lib', name: 'string' }] }],

      // `no-base-to-string` finds what would say [object Object]; numbers and what may be undefined say themselves.
      '@typescript-eslint/restrict-template-expressions': 'off',
      // Callers may be JavaScript: what the types rule out is judged all the same. And a variable that a listener sets has a
      // type that knows nothing of it.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `async` makes a rejection of what a function throws, whether it waits or not.
      '@typescript-eslint/require-await': 'off',
      // Matters of form.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unnecessary-boolean-literal-compare': 'off',
      '@typescript-eslint/no-unnecessary-type-conversion': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // JSON, answers of other processes, what was thrown: its assertions are what judges it.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      // Fixtures are records of functions, and methods are taken from prototypes to be wrapped.
      '@typescript-eslint/unbound-method': 'off',
      // Functions travel to other processes as source.
      '@typescript-eslint/no-implied-eval': 'off',
      // Hosts have async listeners, and what the library makes of their rejections is tested.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
    },
  },
]
