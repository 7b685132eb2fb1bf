// `pcap-ring archive …`, and `--archive` of what records.

import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { run } from '../../src/cli/run.js'
import { allOf, captureOf, keyOf, scratch } from '../archive/support.js'
import { holdsSecret, look } from '../support/canary.js'
import { udpPackets } from '../support/generate.js'
import { recordingOf, scratch as unwatched } from '../support/replay.js'

const { secret } = keyOf()

async function cli(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
  const written = { out: '', err: '' }
  const output = {
    out: (text: string) => {
      written.out += text
    },
    err: (line: string) => {
      written.err += `${line}\n`
    },
    status: () => {},
    color: false,
    width: 80,
  }
  const status = await run(argv, output, new AbortController().signal)
  look('what the command said', written)
  return { status, ...written }
}

interface Kept {
  dir: string
  archive: string
  keys: string
  kept: LocalArchive
}

function setUp(t: Test): Kept {
  const dir = scratch(t)
  const archive = join(dir, 'archive')
  // The one place where it belongs.
  const keys = join(unwatched(t), 'keys')
  writeFileSync(keys, `# ours\nk1:${secret.toString('base64')}\n`, { mode: 0o600 })
  return { dir, archive, keys, kept: new LocalArchive({ directory: archive, keys: [{ id: 'k1', secret }] }) }
}

test('list, sign, get, copy, verify, sweep', async (t) => {
  const { dir, archive, keys, kept } = setUp(t)
  const capture = captureOf(t, 'a')
  const stored = await kept.put(capture)
  const where = ['--archive', archive, '--keys', keys]
  t.match(await cli('archive', 'list', ...where), { status: 0, out: /^a {2}\d+.* kept until .*a\.sealed\n$/, err: '' })
  const line = JSON.parse((await cli('archive', 'list', ...where, '--json')).out)
  t.match(line, { v: 1, event: 'capture', data: stored })

  const link = await cli('archive', 'sign', 'a', '--base-url', 'https://example.org/c', '--expires', '1h', ...where)
  t.match(link, { status: 0, out: /^https:\/\/example\.org\/c\/a\?expires=\d+&actor=\S+&key=k1&signature=\S+\n$/ })

  const file = join(dir, 'out.pcap')
  t.match(await cli('archive', 'get', 'a', file, '--actor', 'alice', ...where), { status: 0, out: `${file}\n` })
  t.ok(readFileSync(file).equals(capture.bytes))
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(await cli('archive', 'get', 'a', file, ...where), { status: 1, err: /EEXIST/ }, 'not over another file')

  const copied = await cli('archive', 'copy', 'a', join(dir, 'second'), '--retention', '30d', ...where, '--json')
  t.match(JSON.parse(copied.out), { event: 'capture', data: { id: 'a', sha256: stored.sha256 } })
  t.ok(existsSync(join(dir, 'second', 'a.sealed')))
  t.match(await cli('archive', 'copy', 'a', join(dir, 'x'), '--retention', '2y', ...where), {
    status: 2,
    err: /--retention/,
  })
  t.match(await cli('archive', 'copy', 'a', join(dir, 'x'), '--retention', '366d', ...where), {
    status: 2,
    err: /retention/,
  })

  const head = await kept.audit.head()
  const verified = await cli('archive', 'verify', '--since', head, ...where)
  t.match(verified, { status: 0, out: new RegExp(`entries +\\d+\\nhead +${head}\\ncaptures +1\\n`) })
  t.match(await cli('archive', 'verify', '--since', 'f'.repeat(64), ...where), { status: 1, err: /broken at entry/ })
  t.match(await cli('archive', 'verify', '--archive', join(dir, 'nowhere'), '--keys', keys), {
    status: 1,
    err: /no archive/,
  })
  t.match(await cli('archive', 'sweep', ...where), { status: 0, out: '' })
  const damaged = await kept.put(captureOf(t, 'b', 5_000))
  const sealed = readFileSync(damaged.location)
  sealed[sealed.length - 1] = (sealed[sealed.length - 1] as number) ^ 1
  chmodSync(damaged.location, 0o600)
  writeFileSync(damaged.location, sealed)
  t.match(await cli('archive', 'get', 'b', join(dir, 'y'), ...where), { status: 1, err: /damaged within its chunk/ })
  t.notOk(existsSync(join(dir, 'y')), 'not a part of it either')
  t.match(await cli('archive', 'get', 'nothing', join(dir, 'y'), ...where), {
    status: 1,
    err: /holds no capture nothing/,
  })
  t.notOk(existsSync(join(dir, 'y')))
  const actors = new Set((await allOf(kept.audit.entries())).map(({ actor }) => actor))
  t.strictSame(actors, new Set(['pcap-ring', userInfo().username, 'alice']))
})

test('keys: a file of its owner only, or the environment; what is wrong is said without them', async (t) => {
  const { archive, keys } = setUp(t)
  const list = (file = keys) => cli('archive', 'list', '--archive', archive, '--keys', file)
  t.match(await list(), { status: 0 })
  chmodSync(keys, 0o640)
  t.match(await list(), { status: 1, err: /chmod 600/ })
  chmodSync(keys, 0o600)
  t.match(await list(join(archive, 'none')), { status: 1, err: /cannot read the key file.*ENOENT/ })
  const wrong = {
    empty: '',
    'a comment': '# nothing\n',
    'no colon': `k1 ${secret.toString('base64')}`,
    'too short': `k1:${secret.toString('base64').slice(1)}`,
    'no base64': 'k1:canary-canary',
  }
  for (const [what, text] of Object.entries(wrong)) {
    writeFileSync(keys, text)
    const { status, err } = await list()
    t.equal(status, 1, what)
    t.match(err, /openssl rand -base64 32/)
    t.notOk(/canary/.test(err) || holdsSecret(err), what)
  }
  t.match(await cli('archive', 'list', '--archive', archive), { status: 1, err: /PCAP_RING_ARCHIVE_KEYS/ })
  process.env.PCAP_RING_ARCHIVE_KEYS = `k1:${secret.toString('base64')},k0:${keyOf('k0').secret.toString('base64')}`
  t.teardown(() => {
    delete process.env.PCAP_RING_ARCHIVE_KEYS
  })
  t.match(await cli('archive', 'list', '--archive', archive), { status: 0 })
})

test('what replay records goes into --archive, and the card says so', async (t) => {
  const { dir, archive, keys, kept } = setUp(t)
  const file = join(dir, 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 2_000, count: 4_000 })))
  const captures = join(dir, 'captures')
  const record = ['replay', file, '--pps', '1k', '--dir', captures, '--archive', archive, '--keys', keys]
  const { status, out, err } = await cli(...record, '--retention', '30d')
  t.equal(status, 0, err)
  t.match(out, new RegExp(`Upload +on its way to ${archive}, kept there for 30d; a link lives 15m\n`))
  for (let i = 0; i < 200 && readdirSync(captures).some((name) => name.endsWith('.undelivered')); i++) {
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const [stored] = await allOf(kept.list())
  t.equal(stored?.location, join(archive, `${stored?.id}.sealed`))
  const [capture] = readdirSync(captures).filter((name) => name.endsWith('.pcap'))
  t.equal(capture, `incident_${stored?.id}.pcap`)
  t.match(await cli('replay', file, '--pps', '1k', '--dir', captures), { out: /Upload +none\n/ })
})
