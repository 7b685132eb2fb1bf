import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'

const script = resolve(__dirname, '../scripts/check-rooms.cjs')

function check(root: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' })
  return { status, stdout, violations: stderr.split('\n').filter((line) => line !== '') }
}

const native = {
  base: { 'time.h': '#include <cstdint>\n' },
  source: { 'packet.h': '#include "base/time.h"\n', 'live.h': '#include <pcap/pcap.h>\n' },
  ring: { 'ring.cc': '#include "ring/ring.h"\n#include "source/packet.h"\n', 'ring.h': '#include "base/time.h"\n' },
  traffic: { 'counters.h': '#include "source/packet.h"\n' },
  engine: { 'engine.h': '#include "source/live.h"\n#include "ring/ring.h"\n#include "traffic/counters.h"\n' },
  output: { 'file.h': '#include "engine/engine.h"\n' },
  incident: { 'incident.h': '#include "output/file.h"\n' },
  binding: { 'addon.cc': '#include <napi.h>\n#include "incident/incident.h"\n' },
  test: { 'ring_test.cc': '#include "check.h"\n#include "incident/incident.h"\n', 'check.h': '' },
}
const src = {
  'index.ts': "export * from './ring.js'\n",
  'ring.ts': "import { load } from './native.js'\nimport { encode } from './formats/pcap.js'\n",
  'native.ts': "const load = require('node-gyp-build')\n",
  'errors.ts': '',
  formats: {
    'pcap.ts': "import { PcapRingError } from '../errors.js'\nimport { record } from './record.js'\n",
    'record.ts': '',
  },
  archive: { 'store.ts': '', s3: { 'bucket.ts': "import { Store } from '../store.js'\n" } },
  cli: { 'main.ts': "import { PcapRing } from '../index.js'\nimport { card } from './card.js'\n", 'card.ts': '' },
}

t.test('a house in order passes', async (t) => {
  const { status, stdout, violations } = check(t.testdir({ native, src }))
  t.same(violations, [])
  t.equal(status, 0)
  t.match(stdout, /nothing points upward/)
})

// One wrong line each: room, file, text, and the line where it has to be found.
const wrongIncludes: [room: keyof typeof native, text: string, line: number, what: RegExp][] = [
  ['base', '\n#include "engine/engine.h"\n', 2, /base includes engine\/engine\.h/],
  ['base', '#include "../source/packet.h"\n', 1, /base includes source\/packet\.h/],
  ['ring', '// why\n# include "traffic/counters.h"\n', 2, /ring includes traffic\/counters\.h/],
  ['ring', '#include "source/live.h"\n', 1, /ring includes source\/live\.h/],
  ['traffic', '#include "ring/ring.h"\n', 1, /traffic includes ring\/ring\.h/],
  ['source', '#include "ring/ring.h"\n', 1, /source includes ring\/ring\.h/],
  ['engine', '/* a\nb */ \n#include "output/file.h"\n', 3, /engine includes output\/file\.h/],
  ['output', '#include "incident/incident.h"\n', 1, /output includes incident\/incident\.h/],
  ['incident', '#include "binding/addon.cc"\n', 1, /incident includes binding\/addon\.cc/],
  ['incident', '#include <napi.h>\n', 1, /Node's napi\.h/],
  ['engine', '#include <uv.h>\n', 1, /Node's uv\.h/],
  ['test', '#include <node_api.h>\n', 1, /Node's node_api\.h/],
  ['test', '#include "binding/addon.cc"\n', 1, /test includes binding\/addon\.cc/],
]
for (const [room, text, line, what] of wrongIncludes) {
  t.test(`native/${room}: ${what.source}`, async (t) => {
    const root = t.testdir({ native: { ...native, [room]: { ...native[room], 'wrong.cc': text } }, src })
    const { status, violations } = check(root)
    t.equal(status, 1)
    t.equal(violations.length, 1)
    t.match(violations[0], `native/${room}/wrong.cc:${line}: `)
    t.match(violations[0], what)
  })
}

const wrongImports: [file: string, text: string, line: number, what: RegExp][] = [
  ['wrong.ts', "import { main } from './cli/main.js'\n", 1, /src imports cli\/main\.ts/],
  ['wrong.ts', "\nexport const lazy = () => import('./cli/card.js')\n", 2, /src imports cli\/card\.ts/],
  ['wrong.ts', "import build = require('node-gyp-build')\n", 1, /loads the addon/],
  ['wrong.ts', "require('../build/Release/pcap_ring.node')\n", 1, /loads the addon/],
  ['formats/wrong.ts', "import {\n  PcapRing\n} from '../index.js'\n", 3, /formats imports index\.ts/],
  ['formats/wrong.ts', "import '../native'\n", 1, /formats imports native\.ts/],
  ['cli/wrong.ts', "import { load } from '../native.js'\n", 1, /cli imports native\.ts/],
  ['archive/wrong.ts', "import './s3/bucket.js'\n", 1, /archive imports archive\/s3\/bucket\.ts/],
  ['elsewhere/wrong.ts', '', 1, /no known room/],
]
for (const [file, text, line, what] of wrongImports) {
  t.test(`src/${file}: ${text.trim().split('\n').at(-1)}`, async (t) => {
    const [folder, name] = file.includes('/') ? (file.split('/') as [string, string]) : ['', file]
    const within = folder === 'formats' || folder === 'cli' || folder === 'archive' ? src[folder] : {}
    const wrong = folder === '' ? { [name]: text } : { [folder]: { ...within, [name]: text } }
    const { status, violations } = check(t.testdir({ native, src: { ...src, ...wrong } }))
    t.equal(status, 1)
    t.equal(violations.length, 1)
    t.match(violations[0], what)
    t.match(violations[0], `src/${file}:${line}: `)
  })
}

t.test('comments and strings are no includes', async (t) => {
  const root = t.testdir({
    native: {
      ...native,
      base: { ...native.base, 'fine.h': '// #include "engine/engine.h"\n/*\n#include <uv.h>\n*/\n' },
    },
    src: { ...src, 'fine.ts': "// import './cli/main.js'\n/* from './cli/main.js' */ const url = 'x://y'\n" },
  })
  t.same(check(root).violations, [])
})
