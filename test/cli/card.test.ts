import { test } from 'tap'

import { card, recordingCard } from '../../src/cli/card.js'
import { count, duration, printable, rate, size } from '../../src/figures.js'
import type { Section } from '../../src/index.js'
import { exampleRecording, exampleReport } from '../support/report.js'

const plain = { color: false, width: 80 }
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal codes are what is looked for
const escapes = /\x1b\[\d+m/g

test('the card of a capped incident', (t) => {
  t.equal(
    card(exampleReport(), plain),
    `\
── Incident 3f9a1c22 ───────────────────────────────────────────────────────────
   FILE      /var/captures/incident_3f9a1c22.pcap
   SIZE      1.4 MiB (1,482,113 bytes)
   PKTS      10,000  (cap reached)
   DURATION  12.346 s from freeze to resolve
             2024-01-01T00:00:00.000000Z → 2024-01-01T00:00:12.345678Z
   Sections  pre-buffer       500
             attack         9,400
             resolution       100
   Reason    inbound 52.1 kpps
   Peak      52.1 kpps, 26.7 Mbit/s
`,
  )
  t.end()
})

test('colour changes nothing but the look', (t) => {
  const colored = card(exampleReport(), { color: true, width: 80 })
  t.match(colored, escapes)
  t.equal(colored.replace(escapes, '').replace(/ +━+/g, ''), card(exampleReport(), plain))
  t.end()
})

test('no line is wider than the terminal, save the names that must stay whole', (t) => {
  for (const width of [40, 80, 200]) {
    const lines = card(exampleReport(), { color: true, width }).replace(escapes, '').split('\n')
    for (const line of lines.filter((each) => !/[/→]|freeze/.test(each)))
      t.ok(line.length <= width, `${width}: ${line}`)
  }
  t.end()
})

test('an uncapped one, a byte cap, a manual one', (t) => {
  t.notMatch(card(exampleReport({ capped: null }), plain), 'cap reached')
  t.match(card(exampleReport({ capped: 'bytes' }), plain), /PKTS {6}10,000 {2}\(cap reached: bytes\)/)
  t.match(card(exampleReport({ kind: 'manual' }), plain), /^── Capture 3f9a1c22 ─/)
  t.end()
})

test('the sections of every name stand in line', (t) => {
  const section = exampleReport().sections[0] as Section
  const names = ['history', 'pre-buffer', 'onset', 'attack', 'resolution'] as const
  const sections = names.map((name) => ({
    ...section,
    name,
    sampling: name === 'history' ? { min: 90, max: 110 } : null,
  }))
  t.match(
    card(exampleReport({ sections }), plain),
    `
   Sections  history          500  1 of 90 to 110 kept
             pre-buffer       500
             onset            500
             attack           500
             resolution       500
`,
  )
  t.end()
})

test('what is missing or went wrong is said', (t) => {
  const { coverage, sections } = exampleReport()
  const gap = { from: '', to: '', packets: null, exact: false, reason: 'kernel' } as const
  const text = card(
    exampleReport({
      loss: { kernel: 1_234, interface: 0, writer: 5 },
      coverage: { ...coverage, complete: false, gaps: [gap, { ...gap, reason: 'sampling' }, gap] },
      sections: sections.map((each) => ({ ...each, sampling: { min: 1, max: 16 } })),
      error: 'ERR_PCAP_NO_SPACE',
      recovered: true,
    }),
    plain,
  )
  t.match(text, 'Loss      1,234 kernel, 0 interface, 5 writer')
  t.match(text, 'Gaps      3 (kernel, sampling)')
  t.match(text, 'attack         9,400  1 of 1 to 16 kept')
  t.match(text, 'Failed    ERR_PCAP_NO_SPACE')
  t.match(text, 'Recovered ')
  t.end()
})

test('an attack, and an incident without a file', (t) => {
  const attack = {
    at: '',
    onsetAt: null,
    pps: 1_500_000,
    bps: 1e9,
    baseline: { pps: 0, bps: 0 },
    cause: 'pps',
    vector: 'dns-amplification',
    severity: 'high',
  } as const
  t.match(card(exampleReport({ attack }), plain), 'Attack    dns-amplification, high, 1.5 Mpps, 1.0 Gbit/s')
  const none = card(
    exampleReport({ mode: 'statistics', file: null, from: null, to: null, sections: [], capped: null }),
    plain,
  )
  t.match(none, 'FILE      none: statistics only')
  t.match(none, 'PKTS      none recorded, 640,000 counted')
  t.notMatch(none, /SIZE|Sections|→/)
  t.end()
})

test('nothing in a report steers the terminal', (t) => {
  const text = card(exampleReport({ reason: 'a\x1b[2Jb\nc\u202ed', file: '/tmp/\x1b]0;x\x07.pcap' }), plain)
  t.match(text, 'Reason    a\\u001b[2Jb\\u000ac\\u202ed')
  t.notMatch(text, '\x1b')
  t.equal(printable('plain → ünï'), 'plain → ünï')
  t.end()
})

test('a recording without a report', (t) => {
  t.equal(
    recordingCard(
      exampleRecording({
        file: 'x.pcapng',
        format: 'pcapng',
        bytes: 900,
        packets: 3,
        from: 'A',
        to: 'B',
        duration: 90_061_000,
        linkTypes: [
          { name: 'EN10MB', packets: 2 },
          { name: 'RAW', packets: 1 },
        ],
        error: 'damaged at byte 5: it ends',
      }),
      { color: false, width: 60 },
    ),
    `\
── Recording (pcapng) ──────────────────────────────────────
   FILE      x.pcapng
   SIZE      900 bytes
   PKTS      3
   DURATION  1d 1h 1m 1s
             A → B
   Links     EN10MB                    2
             RAW                       1
   Damaged   damaged at byte 5: it ends
`,
  )
  t.end()
})

test('figures', (t) => {
  t.strictSame([0, 999, 1_000, 12_345_678].map(count), ['0', '999', '1,000', '12,345,678'])
  t.strictSame([0, 1_023, 1_024, 2 ** 41].map(size), [
    '0 bytes',
    '1023 bytes',
    '1.0 KiB (1,024 bytes)',
    '2.0 TiB (2,199,023,255,552 bytes)',
  ])
  t.strictSame([0, 0.25, 999.9, 1_500, 59_999, 60_000, 3_600_000, 86_400_000].map(duration), [
    '0 ms',
    '0.25 ms',
    '999.9 ms',
    '1.5 s',
    '59.999 s',
    '1m',
    '1h',
    '1d',
  ])
  t.strictSame(
    [0, 999, 999.96, 1_000, 1_500_000, 2e15].map((value) => rate(value, 'pps')),
    ['0 pps', '999 pps', '1.0 kpps', '1.0 kpps', '1.5 Mpps', '2000.0 Tpps'],
  )
  t.equal(rate(1e9, 'bps'), '1.0 Gbit/s')
  t.end()
})
