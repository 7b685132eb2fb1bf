// What stands in the way in the file system: told at the documented moment, and the ring goes on.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Incident } from '../../src/index.js'
import { PcapRing } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { runHost } from '../support/host.js'
import { range, recordingOf, replay, ringOf, scratch, sequencesIn, validIncident, watch } from '../support/replay.js'

const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))

/** An incident that cannot be recorded: both promises reject, a warning comes, the ring and a new one work on. */
async function refused(t: Test, prepare: (stem: string) => void, code: string): Promise<string> {
  const directory = scratch(t)
  const stem = join(directory, 'incident_x')
  const ring = ringOf(t, { file, directory })
  const seen = await replay(ring)
  prepare(stem)
  const incident = ring.freeze({ id: 'x' })
  await t.rejects(incident.flushed, { name: 'PcapRingError', code })
  await t.rejects(incident.finished, { name: 'PcapRingError', code })
  t.equal(incident.state, 'failed')
  t.equal(incident.resolve(), incident.finished, 'resolve() still gives it')
  t.match(seen.warnings, [{ code }])
  t.strictSame(ring.incidents, [])
  const other = ring.freeze({ id: 'y' })
  void other.resolve()
  t.strictSame((await validIncident(t, other))[1], range(100, 500))
  await ring.close()

  const anew = ringOf(t, { file, directory })
  await replay(anew)
  const third = anew.freeze({ id: 'z' })
  void third.resolve()
  t.strictSame((await validIncident(t, third))[1], range(100, 500))
  return stem
}

const exists = 'ERR_PCAP_FILE_EXISTS'

test('an existing capture is not overwritten', async (t) => {
  const stem = await refused(t, (stem) => writeFileSync(`${stem}.pcap`, 'mine'), exists)
  t.equal(readFileSync(`${stem}.pcap`, 'utf8'), 'mine')
  t.notOk(existsSync(`${stem}.json`))
})

test('nor an existing report', async (t) => {
  const stem = await refused(t, (stem) => writeFileSync(`${stem}.json`, 'mine'), exists)
  t.equal(readFileSync(`${stem}.json`, 'utf8'), 'mine')
  t.notOk(existsSync(`${stem}.pcap`))
})

test('a symlink at the target is refused, where it leads stays as it is', async (t) => {
  const elsewhere = join(scratch(t), 'victim')
  writeFileSync(elsewhere, 'mine')
  for (const end of ['.pcap', '.json']) {
    for (const to of [elsewhere, `${elsewhere}-that-is-not-there`]) {
      const stem = await refused(t, (stem) => symlinkSync(to, `${stem}${end}`), exists)
      t.equal(readlinkSync(`${stem}${end}`), to)
    }
  }
  t.equal(readFileSync(elsewhere, 'utf8'), 'mine')
  t.notOk(existsSync(`${elsewhere}-that-is-not-there`))
})

test('a symlink at the part is refused, too', async (t) => {
  const elsewhere = join(scratch(t), 'victim')
  writeFileSync(elsewhere, 'mine')
  for (const end of ['.pcap.part', '.json.part']) {
    for (const to of [elsewhere, `${elsewhere}-that-is-not-there`]) {
      const stem = await refused(t, (stem) => symlinkSync(to, `${stem}${end}`), exists)
      t.equal(readlinkSync(`${stem}${end}`), to)
    }
  }
  t.equal(readFileSync(elsewhere, 'utf8'), 'mine')
  t.notOk(existsSync(`${elsewhere}-that-is-not-there`))
})

test('a directory in the place of a file', async (t) => {
  await refused(t, (stem) => mkdirSync(`${stem}.pcap`), exists)
  await refused(t, (stem) => mkdirSync(`${stem}.pcap.part`), exists)
})

test('a file that comes into being meanwhile is not overwritten: the capture stays a part', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  const seen = await replay(ring)
  const incident = ring.freeze({ id: 'x' })
  await incident.flushed
  writeFileSync(join(directory, 'incident_x.pcap'), 'mine')
  await t.rejects(incident.resolve(), { code: exists })
  t.equal(readFileSync(join(directory, 'incident_x.pcap'), 'utf8'), 'mine')
  t.strictSame(sequencesIn(`${incident.file}.part`), range(100, 500))
  t.match(seen.warnings, [{ code: exists }])
})

test('nor a report: the capture is kept, and tells of it', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  const seen = await replay(ring)
  const incident = ring.freeze({ id: 'x' })
  await incident.flushed
  writeFileSync(join(directory, 'incident_x.json'), 'mine')
  t.match(await incident.resolve(), { error: exists, packets: 500 })
  t.equal(incident.state, 'failed')
  t.equal(readFileSync(join(directory, 'incident_x.json'), 'utf8'), 'mine')
  t.strictSame(sequencesIn(incident.file as string), range(100, 500))
  const left = ['incident_x.json', 'incident_x.json.part', 'incident_x.pcap']
  t.strictSame(readdirSync(directory).sort(), left, 'with what is known of it')
  t.match(seen.warnings, [{ code: exists }])
  await ring.close()

  t.match((await replay(ringOf(t, { file, directory }))).warnings, [{ code: exists }], 'told of again')
  t.strictSame(readdirSync(directory).sort(), left)
  unlinkSync(join(directory, 'incident_x.json'))
  t.strictSame((await replay(ringOf(t, { file, directory }))).warnings, [])
  t.strictSame(readdirSync(directory).sort(), ['incident_x.json', 'incident_x.pcap'])
  const report = JSON.parse(readFileSync(join(directory, 'incident_x.json'), 'utf8'))
  t.match(report, { id: 'x', recovered: true, packets: 500 })
})

test('both: neither is overwritten or removed', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  await replay(ring)
  const incident = ring.freeze({ id: 'x' })
  await incident.flushed
  for (const end of ['.json', '.pcap']) writeFileSync(join(directory, `incident_x${end}`), 'mine')
  await t.rejects(incident.resolve(), { code: exists })
  for (const end of ['.json', '.pcap']) t.equal(readFileSync(join(directory, `incident_x${end}`), 'utf8'), 'mine')
  t.strictSame(sequencesIn(`${incident.file}.part`), range(100, 500))
})

const meddling: [what: string, act: (part: string) => void, theirs: string | null][] = [
  [
    'replaced',
    (part) => {
      unlinkSync(part)
      writeFileSync(part, 'mine')
    },
    'mine',
  ],
  ['removed', (part) => unlinkSync(part), null],
  ['emptied', (part) => truncateSync(part, 0), ''],
  ['cut', (part) => truncateSync(part, 100), null],
]
for (const [what, act, theirs] of meddling) {
  for (const goesOn of [false, true]) {
    test(`a part ${what} by somebody else${goesOn ? ', while more is recorded' : ''}`, async (t) => {
      const directory = scratch(t)
      const ring = ringOf(t, { file, directory })
      let incident: Incident | undefined
      const meddle = async (): Promise<void> => {
        incident = ring.freeze({ id: 'x' })
        await incident.flushed
        act(`${incident.file}.part`)
      }
      if (goesOn) ring.once('stats', meddle)
      const seen = await replay(ring)
      if (!goesOn) await meddle()
      await t.rejects((incident as Incident).resolve(), { code: 'ERR_PCAP_WRITE' })
      t.match(seen.warnings, [{ code: 'ERR_PCAP_WRITE' }])
      t.notOk(existsSync(join(directory, 'incident_x.pcap')), 'nothing that is wrong under the final name')
      t.notOk(existsSync(join(directory, 'incident_x.json')))
      if (theirs !== null) t.equal(readFileSync(`${incident?.file}.part`, 'utf8'), theirs)
      t.match(await ring.freeze({ id: 'y' }).resolve(), { error: null, packets: 500 })
    })
  }
}

test('a part lengthened by somebody else', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  let early: Incident | undefined
  ring.once('stats', async () => {
    early = ring.freeze({ id: 'early' })
    await early.flushed
    appendFileSync(`${early.file}.part`, 'mine')
  })
  await replay(ring)
  // More is recorded: their bytes are cut off, what we wrote before them is kept, and the report tells.
  t.match(await early?.resolve(), { error: 'ERR_PCAP_WRITE', packets: 250, bytes: 24 + 250 * 80 })
  t.strictSame(sequencesIn(early?.file as string), range(0, 250))
  const late = ring.freeze({ id: 'late' })
  await late.flushed
  appendFileSync(`${late.file}.part`, 'mine')
  await t.rejects(late.resolve(), { code: 'ERR_PCAP_WRITE' })
  t.strictSame(
    readdirSync(directory).filter((name) => /late/.test(name)),
    ['incident_late.json.part', 'incident_late.pcap.part'],
  )
})

test("a report's part that is somebody else's by now is not removed", async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  await replay(ring)
  const incident = ring.freeze({ id: 'x' })
  await incident.flushed
  const part = join(directory, 'incident_x.json.part')
  unlinkSync(part)
  writeFileSync(part, 'mine')
  t.match(await incident.resolve(), { error: null, packets: 500 })
  t.equal(readFileSync(part, 'utf8'), 'mine')
  t.strictSame(readdirSync(directory).sort(), ['incident_x.json', 'incident_x.json.part', 'incident_x.pcap'])
})

test('a directory that went away while the ring ran', async (t) => {
  const directory = join(scratch(t), 'captures')
  const ring = ringOf(t, { file, directory })
  await replay(ring)
  renameSync(directory, `${directory}-gone`)
  await t.rejects(ring.freeze().finished, { code: 'ERR_PCAP_WRITE', errno: -2, syscall: 'open' })
  renameSync(`${directory}-gone`, directory)
  t.match(await ring.freeze().resolve(), { error: null })
})

test('a directory that cannot be written is told by start(), and the same ring can be started when it can', async (t) => {
  const base = scratch(t)
  writeFileSync(join(base, 'file'), '')
  symlinkSync('nowhere', join(base, 'dangling'))
  const all: [string, number][] = [
    [join(base, 'file'), -20],
    [join(base, 'file', 'sub', 'dir'), -20],
    ['/proc/pcap-ring/captures', -2],
    ['/sys/pcap-ring', -1],
  ]
  for (const [directory] of all) {
    const ring = ringOf(t, { file, directory })
    await t.rejects(ring.start(), { name: 'PcapRingError', code: 'ERR_PCAP_WRITE', errno: Number }, directory)
    t.equal(ring.mode, 'idle')
  }
  const dangling = ringOf(t, { file, directory: join(base, 'dangling') })
  await t.rejects(dangling.start(), { code: 'ERR_PCAP_WRITE' })

  const ring = ringOf(t, { file, directory: join(base, 'file', 'captures') })
  await t.rejects(ring.start(), { code: 'ERR_PCAP_WRITE' })
  renameSync(join(base, 'file'), join(base, 'other'))
  await replay(ring)
  t.match(await ring.freeze().resolve(), { packets: 500 })
})

const root = process.getuid?.() === 0

test('a directory without permission', { skip: root ? false : 'only root can become somebody else' }, async (t) => {
  const base = scratch(t)
  chmodSync(base, 0o755)
  const { status, stdout, stderr } = await runHost(
    t,
    { wrap: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] },
    async ({ PcapRing }, [bytes, directory]) => {
      const ring = new PcapRing({ file: Buffer.from(bytes, 'base64'), directory })
      const told = await ring.start().catch(({ code, errno, syscall }) => ({ code, errno, syscall }))
      process.stdout.write(JSON.stringify(told))
      await ring.close()
    },
    [file.toString('base64'), join(base, 'captures')] as [string, string],
  ).ended
  t.equal(status, 0, stderr)
  t.strictSame(JSON.parse(stdout), { code: 'ERR_PCAP_WRITE', errno: -13, syscall: 'mkdir' })
})

test('a missing recording, and one that is a directory', async (t) => {
  const missing = ringOf(t, { file: '/nonexistent/x.pcap' })
  await t.rejects(missing.start(), { code: 'ERR_PCAP_BAD_FILE', errno: -2, syscall: 'open', message: /nonexistent/ })
  await t.rejects(ringOf(t, { file: '/tmp' }).start(), { code: 'ERR_PCAP_BAD_FILE', errno: -21 })
  for (const bytes of ['', 'x', '# a readme of some length']) {
    await t.rejects(ringOf(t, { file: Buffer.from(bytes) }).start(), { code: 'ERR_PCAP_BAD_FILE' })
  }
})

test('what would block or never end is no recording, and the ring can be closed', async (t) => {
  const directory = scratch(t)
  execFileSync('mkfifo', [join(directory, 'fifo')])
  // In processes of their own, so that one that hangs is killed.
  for (const path of [join(directory, 'fifo'), '/dev/zero', '/dev/tty0', '/proc/self/mem']) {
    const { status, stdout, stderr } = await runHost(
      t,
      {},
      async ({ PcapRing }, [file, directory]) => {
        const ring = new PcapRing({ file, directory })
        for (const _ of [1, 2]) await ring.start().catch(({ code }) => process.stdout.write(`${code} `))
        await ring.close()
        process.stdout.write(ring.mode)
      },
      [path, join(directory, 'captures')] as [string, string],
    ).ended
    t.equal(status, 0, stderr)
    t.equal(stdout, 'ERR_PCAP_BAD_FILE ERR_PCAP_BAD_FILE closed', path)
  }
})

test('a recording that comes into being: start() may be tried again', async (t) => {
  const path = join(scratch(t), 'x.pcap')
  const ring = ringOf(t, { file: path })
  await t.rejects(ring.start(), { code: 'ERR_PCAP_BAD_FILE' })
  await t.rejects(ring.start(), { code: 'ERR_PCAP_BAD_FILE' })
  writeFileSync(path, file)
  await replay(ring)
  t.match(await ring.freeze().resolve(), { packets: 500 })
})

test('dump() refuses what exists and what cannot be written; nothing is left', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory: join(directory, 'captures') })
  const seen = await replay(ring)
  const path = join(directory, 'x.pcap')
  writeFileSync(path, 'mine')
  symlinkSync('nowhere', join(directory, 'link.pcap'))
  await t.rejects(ring.dump(path), { code: exists })
  await t.rejects(ring.dump(join(directory, 'link.pcap')), { code: exists })
  await t.rejects(ring.dump(join(directory, 'no', 'x.pcap')), { code: 'ERR_PCAP_WRITE', errno: -2 })
  await t.rejects(ring.dump('/proc/x.pcap'), { code: 'ERR_PCAP_WRITE' })
  t.equal(readFileSync(path, 'utf8'), 'mine')
  t.strictSame(readdirSync(directory).sort(), ['captures', 'link.pcap', 'x.pcap'])
  t.strictSame(seen.warnings, [], 'a dump tells its caller only')
  const report = await ring.dump(join(directory, 'y.pcap'))
  t.equal(report.file, join(directory, 'y.pcap'))
  t.equal(report.bytes, statSync(report.file).size)
  t.equal(statSync(report.file).mode & 0o777, 0o600)
  await t.rejects(ring.dump(report.file), { code: exists })
})

test('the directory is resolved when the ring is made, and made by start()', async (t) => {
  const base = scratch(t)
  const before = process.cwd()
  process.chdir(base)
  let ring: PcapRing
  try {
    ring = new PcapRing({ file, directory: 'a/b/../c' })
  } finally {
    process.chdir(before)
  }
  t.strictSame(readdirSync(base), [])
  t.teardown(() => ring.close())
  await replay(ring)
  t.equal(ring.freeze({ id: 'x' }).file, join(base, 'a/c/incident_x.pcap'))
  t.equal(lstatSync(join(base, 'a/c')).mode & 0o777, 0o700)
})

for (const umask of ['000', '022', '377']) {
  test(`files 0600 and directories 0700 under umask ${umask}`, async (t) => {
    const base = scratch(t)
    const existing = join(base, 'existing')
    mkdirSync(existing)
    chmodSync(existing, 0o755)
    const { status, stderr } = await runHost(
      t,
      {},
      async ({ PcapRing, once }, { bytes, directories, umask }) => {
        process.umask(Number.parseInt(umask, 8))
        for (const directory of directories) {
          const ring = new PcapRing({ file: Buffer.from(bytes, 'base64'), directory })
          const end = once(ring, 'end')
          await ring.start()
          await end
          await ring.freeze({ id: 'done' }).resolve()
          await ring.dump(`${directory}/dump.pcap`)
          await ring.freeze({ id: 'open' }).flushed
          const { readdirSync, statSync } = process.getBuiltinModule?.('fs') ?? (await import('node:fs'))
          for (const name of readdirSync(directory)) {
            const mode = (statSync(`${directory}/${name}`).mode & 0o777).toString(8)
            if (mode !== '600') throw new Error(`${name} has mode ${mode}`)
          }
          await ring.close()
        }
      },
      { bytes: file.toString('base64'), directories: [join(base, 'made'), existing], umask },
    ).ended
    t.equal(status, 0, stderr)
    t.equal(statSync(existing).mode & 0o777, 0o755, 'an existing one keeps its mode')
    // What a umask takes from the owner is the host's own wish.
    if (umask !== '377') t.equal(statSync(join(base, 'made')).mode & 0o777, 0o700)
    t.strictSame(readdirSync(existing).sort(), [
      'dump.pcap',
      'incident_done.json',
      'incident_done.pcap',
      'incident_open.json',
      'incident_open.pcap',
    ])
  })
}

test('under its final name there is only ever a whole file; before that, a part', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  const incidents: Incident[] = []
  ring.once('stats', () => void incidents.push(ring.freeze({ id: 'x' })))
  const seen = watch(ring)
  await replay(ring)
  const [incident] = incidents as [Incident]
  await incident.flushed
  t.ok(readdirSync(directory).every((name) => name.endsWith('.part')))
  void incident.resolve()
  const [report] = await validIncident(t, incident)
  t.equal(report.packets, 600)
  t.strictSame(readdirSync(directory).sort(), ['incident_x.json', 'incident_x.pcap'])
  t.strictSame(seen.warnings, [])
})
