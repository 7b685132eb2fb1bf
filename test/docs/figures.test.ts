// Figures of the README and of the guides: each is a bound of the sources, or stands beside the command that measures it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { judgeFreezeOptions, judgeManualOptions, judgeRingOptions } from '../../src/options.js'
import type { FreezeOptions } from '../../src/types.js'
import { repository } from '../support/host.js'
import { pageOf, pages } from '../support/markdown.js'

const source = (name: string): string => readFileSync(join(repository, name), 'utf8')
/** A constant of the core or of the library, as it is written there. */
const says = (name: string, text: string): boolean => source(name).includes(text)

const settings = judgeRingOptions({})
const kiB = 1024
const miB = 1024 * kiB
const blockBytes = 256 * kiB

const onsetWatch = 'native/traffic/onset_watch.h'
const judges = (options: FreezeOptions): boolean => {
  try {
    judgeFreezeOptions(options, settings)
    return true
  } catch {
    return false
  }
}

/** Each with what makes it true. */
const bounds: Record<string, boolean> = {
  '2 MiB': settings.ringBytes === 2 * miB,
  // A packet of the ring; and all labels.
  '4 KiB':
    judgeRingOptions({ ring: { packets: 10_000 } }).ringBytes === 4 * kiB * 10_000 &&
    judges({ labels: { a: 'x'.repeat(4 * kiB - 1) } }) &&
    !judges({ labels: { a: 'x'.repeat(4 * kiB) } }),
  '768 KiB': 3 * blockBytes === 768 * kiB && says('native/source/block_ring.h', 'kBlockSize = 256 * 1024'),
  '2.75 MiB': settings.kernelBuffer + 3 * blockBytes === 2.75 * miB,
  '30 MiB': says('native/ring/packet_ring.h', 'kQueueBytes = 30 * 1024 * 1024'),
  '32 MiB': 30 * miB + settings.ringBytes === 32 * miB,
  // Sources, destinations, ports of both ends in TCP and UDP, timeline: as DESIGN.md adds them up.
  '1 MiB': says('DESIGN.md', '216 KiB for sources') && (2 * 216 + 4 * 128 + 19) * kiB <= miB,
  '16 MiB': judgeRingOptions({ kernelBuffer: 16 * miB }).kernelBuffer === 16 * miB,
  // What the kernel joins at the most, before BIG TCP.
  '64 KiB': 0xffff + 1 === 64 * kiB,
  '1 KiB': judges({ reason: 'x'.repeat(kiB) }) && !judges({ reason: 'x'.repeat(kiB + 1) }),
  '128 packets': says('native/engine/thin_history.h', 'kMost = 128'),
  '600 slots':
    says('native/incident/section_timeline.h', 'kMaxSlots = 600') &&
    says('native/engine/timeline.h', 'kMaxSlots = 600'),
  '1 ms': says('src/types.ts', 'their length is 1 ms'),
  // HyperLogLog's, of 2^14 registers.
  '0.8 %': says('native/traffic/cardinality.h', 'kBits = 14') && Math.round((1_040 / 2 ** 7) * 10) / 100 === 0.81,
  // Beside `latency`: a drain's hard limit.
  '1 s': says('native/engine/live_driver.cc', 'kHardLimitNs = 900 * kNsPerMs'),
  // Of the archive at close; and of a capture on demand.
  '30 s':
    says('src/delivery.ts', 'graceMs: 30_000') && judgeManualOptions({}, settings).settings.cap.duration === 30_000,
  '10,000 packets': settings.cap.packets === 10_000 && judgeManualOptions({}, settings).settings.cap.packets === 10_000,
  '500 packets': settings.ringPackets === 500,
  // At 300,000 a second.
  '1.7 ms': Math.round((settings.ringPackets / 300_000) * 10_000) === 17,
  '25 ms': says(onsetWatch, 'kSlotNs = 25 * kNsPerMs'),
  '150 ms': says(onsetWatch, 'kConfirming = 6;'),
  // Which may fall into five slots.
  '100 ms': says(onsetWatch, 'kConfirming = 6;'),
  // Three slots, and up to 20 ms until they begin.
  '95 ms': says(onsetWatch, 'kConfirmingAtFreeze = 3;'),
  '1,000 packets': says('native/engine/sampling_governor.h', "kFewestKept = 1'000;"),
  '40 s':
    says('src/detect/baseline.ts', 'fallenMs = 30_000') && says('src/detect/baseline.ts', 'longestSlotMs = 10_000'),
}

/** Of somebody's traffic. */
const supposed = new Set(['300,000 packets'])

const unit = '(?:[MKG]iB|ns|µs|ms|s|%|packets|slots|times|threads)'
const figure = new RegExp(`(?<![\\w.,\`-])\\d[\\d,.]* ${unit}(?![\\w-])`, 'g')
/** What a measured one has to stand beside. */
const measures = /`npm run bench[^`]*`|`PCAP_RING_FULL=1 npm test[^`]*`/

// Of the README what it costs and the comparison are measured, and the tables of options are judged in reference.test.ts and
// ranges.test.ts; the format of the archive has bytes of its own.
const readme = pageOf('README.md')
const elsewhere = ['What it costs', 'Comparison', 'Options', 'Detecting floods'].map((title) => readme.section(title))
const guides = [
  ...pages.filter(({ name }) => /^docs\/(?!archive)|^UPGRADING/.test(name)),
  {
    name: readme.name,
    prose: elsewhere
      .reduce((text, section) => text.replace(section, () => ''), readme.text)
      .replace(/^```[\s\S]*?^```$/gm, ''),
  },
]

test('each figure is a bound, or is measured', (t) => {
  let found = 0
  for (const { name, prose } of guides) {
    // A paragraph, a bullet or a row of a table.
    for (const part of prose.split(/\n\n|\n(?=- |\|)/)) {
      for (const [text] of part.matchAll(figure)) {
        found++
        t.ok(bounds[text] || supposed.has(text) || measures.test(part), `${name}: ${text}`)
      }
    }
  }
  t.ok(found > 20)
  t.end()
})

test('each bound is on a page', (t) => {
  const all = guides.flatMap(({ prose }) => [...prose.matchAll(figure)].map(([text]) => text))
  for (const [text, holds] of Object.entries(bounds)) {
    t.ok(all.includes(text), text)
    t.ok(holds, `${text}: as the sources say`)
  }
  t.end()
})

test('the comparison says what was measured beside: the README’s own table', (t) => {
  const [head = ''] = /^\| traffic \|.*$/m.exec(readme.section('What it costs')) ?? []
  for (const name of ['tcpdump', 'dumpcap', 'npm cap', 'npm pcap']) {
    t.match(head, name)
    t.match(/^\| \| pcap-ring \|.*$/m.exec(readme.section('Comparison'))?.[0], name)
  }
  t.end()
})
