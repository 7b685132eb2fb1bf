// What the sources declare, for pages that speak of it.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

import { repository } from './host.js'

const sources = join(repository, 'src')
const sourceOf = (name: string): ts.SourceFile =>
  ts.createSourceFile(name, readFileSync(join(sources, name), 'utf8'), ts.ScriptTarget.Latest, true)

/** The members of an interface, those that it inherits included. */
export function members(interfaceName: string, file = 'types.ts'): string[] {
  const found = sourceOf(file)
    .statements.filter(ts.isInterfaceDeclaration)
    .find(({ name }) => name.text === interfaceName)
  if (found === undefined) throw new Error(`${file} has no interface ${interfaceName}`)
  const inherited = found.heritageClauses?.flatMap(({ types }) => types.map((type) => type.getText())) ?? []
  return [
    ...found.members.map((member) => `${member.name?.getText()}`),
    ...inherited.flatMap((name) => members(name, file)),
  ]
}

/** The strings of a union type. */
export function union(typeName: string, file: string): string[] {
  const found = sourceOf(file)
    .statements.filter(ts.isTypeAliasDeclaration)
    .find(({ name }) => name.text === typeName)
  if (found === undefined) throw new Error(`${file} has no type ${typeName}`)
  return [...found.type.getText().matchAll(/'([^']+)'/g)].map(([, member]) => `${member}`)
}

const named = (directory: string, ...ends: string[]): string[] =>
  readdirSync(join(repository, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => ends.some((end) => name.endsWith(end)))
    .map((name) => join(directory, name))

const textOf = (name: string): string => readFileSync(join(repository, name), 'utf8')

/** Every name and every word of a string literal of the library's TypeScript; not of its comments. */
export function declaredNames(): Set<string> {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) names.add(node.text)
    else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      for (const [word] of node.text.matchAll(/[\w-]+/g)) names.add(word)
      names.add(node.text)
    }
    ts.forEachChild(node, visit)
  }
  for (const name of named('src', '.ts')) visit(sourceOf(name.slice('src/'.length)))
  return names
}

/** The text of the whole library, comments of the core left out, string literals that are broken over lines joined. */
export const allSources = (): string =>
  [...named('src', '.ts'), ...named('native', '.cc', '.h').filter((name) => !/^native\/(test|fuzz)\//.test(name))]
    .map(textOf)
    .join('\n')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/"\s*\n\s*"/g, '')
    .replace(/' \+\n\s*'/g, '')
