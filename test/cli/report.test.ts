import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { test } from 'tap'

import { card, recordingCard } from '../../src/cli/card.js'
import type { Output } from '../../src/cli/output.js'
import { reportCommand } from '../../src/cli/report-command.js'
import { render, summarize } from '../../src/report/index.js'
import { encodePcap } from '../../src/testing.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { udpPackets } from '../support/generate.js'
import { pcapngBytes, toRaw } from '../support/recording.js'
import { exampleReport } from '../support/report.js'

const plain = { color: false, width: 80 }

async function report(file: string, json = false, html?: string): Promise<{ out: string; err: string[] }> {
  const written = { out: '', err: [] as string[] }
  const output: Output = {
    ...plain,
    out: (text) => {
      written.out += text
    },
    err: (line) => {
      written.err.push(line)
    },
    status: () => {},
  }
  await reportCommand({ command: 'report', file, html, json }, output)
  return written
}

function directory(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'report-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  return dir
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const bytes = encodePcap(udpPackets({ pps: 1_000, count: 5 }))

test('a report, by its own name or that of its capture', async (t) => {
  const dir = directory(t)
  const capture = join(dir, 'incident_3f9a1c22.pcap')
  const json = join(dir, 'incident_3f9a1c22.json')
  const told = exampleReport({ bytes: bytes.length, sha256: sha256Of(bytes) })
  writeFileSync(capture, bytes)
  writeFileSync(json, JSON.stringify(told))
  for (const file of [json, capture]) {
    t.strictSame(await report(file), { out: card(told, plain), err: [] })
    const { out } = await report(file, true)
    t.equal(out.indexOf('\n'), out.length - 1)
    t.match(JSON.parse(out), { v: 1, event: 'report', time: /^\d{4}-.*\.\d{6}Z$/, data: told })
  }
})

test('of a .pcapng as of a .pcap', async (t) => {
  const dir = directory(t)
  const capture = join(dir, 'incident_3f9a1c22.pcapng')
  const json = join(dir, 'incident_3f9a1c22.json')
  const bytes = pcapngBytes(toRaw(udpPackets({ pps: 1_000, count: 5 })))
  const told = exampleReport({
    bytes: bytes.length,
    sha256: sha256Of(bytes),
    file: capture,
    format: 'pcapng',
  })
  writeFileSync(capture, bytes)
  writeFileSync(json, JSON.stringify(told))
  for (const file of [json, capture]) t.strictSame(await report(file), { out: card(told, plain), err: [] })
  t.match(card(told, plain), `FILE      ${capture}\n`)

  writeFileSync(capture, bytes.subarray(0, -5))
  const { out, err } = await report(capture)
  t.match(out, /^── Recording \(pcapng\) /)
  t.match(err, [/tells of \d+ bytes, the file has \d+: read anew/])
})

test('a capture that is not as its report says is read anew', async (t) => {
  const dir = directory(t)
  const capture = join(dir, 'incident_3f9a1c22.pcap')
  writeFileSync(capture, bytes)
  writeFileSync(join(dir, 'incident_3f9a1c22.json'), JSON.stringify(exampleReport()))
  const { out, err } = await report(capture)
  t.match(out, /^── Recording \(pcap\) /)
  t.match(err, [/tells of 1482113 bytes, the file has 424: read anew/])

  const sameSize = exampleReport({ bytes: bytes.length })
  writeFileSync(join(dir, 'incident_3f9a1c22.json'), JSON.stringify(sameSize))
  t.match((await report(capture)).err, [/tells of other bytes, by their SHA-256: read anew/])

  writeFileSync(join(dir, 'incident_3f9a1c22.json'), '{')
  const broken = await report(capture)
  t.match(broken.out, /^── Recording \(pcap\) /)
  t.match(broken.err, [/cannot read the report/])
})

test('any other recording', async (t) => {
  const dir = directory(t)
  const file = join(dir, 'x.pcap')
  writeFileSync(file, bytes)
  const { out } = await report(file, true)
  const { data } = JSON.parse(out)
  t.match(data, {
    version: 1,
    kind: 'recording',
    id: 'x',
    file,
    format: 'pcap',
    sha256: sha256Of(bytes),
    bytes: 424,
    packets: 5,
    from: '2024-01-01T00:00:00.000000Z',
    to: '2024-01-01T00:00:00.004000Z',
    duration: 4,
    linkTypes: [{ name: 'EN10MB', packets: 5 }],
    error: null,
  })
  t.equal((await report(file)).out, recordingCard(data, plain))
})

test('a damaged one: what could be read, and where it ended', async (t) => {
  const file = join(directory(t), 'torn.pcap')
  writeFileSync(file, bytes.subarray(0, -1))
  const { out } = await report(file)
  t.match(out, 'PKTS      4')
  t.match(
    out,
    /Damaged {3}'.*torn\.pcap' is damaged at byte 344: it ends inside the data of a record \(63 of 64 bytes\)/,
  )
  writeFileSync(file, '')
  t.match((await report(file)).out, /PKTS {6}0\n[\s\S]*damaged at byte 0: it is empty/)
})

test('nanoseconds are told, times are the smallest and the largest', async (t) => {
  const file = join(directory(t), 'x.pcap')
  const data = new Uint8Array(60)
  writeFileSync(
    file,
    encodePcap(
      [
        { time: 2_000, data },
        { time: 3_000, data },
        { time: 1_000, data },
      ],
      { precision: 'nano' },
    ),
  )
  t.match(await summarize(file), {
    from: '1970-01-01T00:00:01.000000000Z',
    to: '1970-01-01T00:00:03.000000000Z',
    duration: 2_000,
  })
})

test('a page, for its owner only', async (t) => {
  const dir = directory(t)
  const file = join(dir, 'x.pcap')
  const page = join(dir, 'x.html')
  writeFileSync(file, bytes)
  t.strictSame(await report(file, false, page), { out: `${page}\n`, err: [] })
  t.equal(readFileSync(page, 'utf8'), render(await summarize(file)))
  t.equal(statSync(page).mode & 0o777, 0o600)

  writeFileSync(file, bytes.subarray(0, -1))
  const { out } = await report(file, true, page)
  t.match(JSON.parse(out), { event: 'report', data: { packets: 4, error: /damaged at byte 344/ } })
  t.match(readFileSync(page, 'utf8'), /It is damaged\. 4 packets could be read/, 'replaced')
  await t.rejects(report(file, false, join(dir, 'none', 'x.html')), {
    name: 'CommandError',
    message: /cannot write the page: ENOENT/,
  })
})

test('what cannot be shown fails with a line that says why', async (t) => {
  const dir = directory(t)
  await t.rejects(report(join(dir, 'none.pcap')), {
    name: 'CommandError',
    message: /^there is no file '.*none\.pcap'$/,
  })
  await t.rejects(report(dir), { name: 'CommandError', message: /is no regular file/ })
  const json = join(dir, 'x.json')
  for (const text of [
    '{',
    '[]',
    '{}',
    'null',
    JSON.stringify({ ...exampleReport(), version: 2 }),
    JSON.stringify({ ...exampleReport(), sections: [null] }),
    JSON.stringify({ ...exampleReport(), loss: null }),
    JSON.stringify({ ...exampleReport(), attack: {} }),
  ]) {
    writeFileSync(json, text)
    await t.rejects(
      report(json),
      { name: 'CommandError', message: /cannot read the report|not a report of version 1/ },
      text,
    )
  }
})

test('a file that cannot be opened', async (t) => {
  const file = join(directory(t), 'x.pcap')
  symlinkSync('x.pcap', file)
  await t.rejects(report(file), { name: 'CommandError', message: /ELOOP/ })
})

test('every real capture is shown, damaged and mixed ones too', { skip: noCaptures }, async (t) => {
  for (const name of captureNames()) {
    const { out } = await report(capturePath(name))
    t.match(out, /FILE[\s\S]*SIZE[\s\S]*PKTS[\s\S]*DURATION/, name)
  }
  t.match(await summarize(capturePath('ng-many-interfaces.pcapng')), {
    packets: 64,
    bytes: 20_704,
    linkTypes: [{ name: 'EN10MB' }, { name: 'NULL' }, { name: 'RAW' }],
    error: null,
  })
})
