// Coverage and loss in plain words.

import { count, duration } from '../figures.js'
import type { Gap, IncidentReport, Section } from '../types.js'
import type { RecordingReport } from './types.js'

const mostGaps = 6

const reasons: Readonly<Record<string, string>> = {
  ring: 'the ring no longer held them at the freeze',
  kernel: 'the kernel dropped them, as its buffer was full',
  sampling: 'the kernel kept only one of several, to stay within its budget',
  'device-down': 'the device was down',
  clock: 'the clock was set',
}

/** How much of the attack the file shows, and of what was before it. */
export function coverageInWords(report: IncidentReport): string[] {
  const { coverage, mode, recovered, error, capped, statistics } = report
  if (mode === 'statistics') {
    return [
      'No packet was recorded: there was no permission to capture. Packets and bytes come from the counters of the network device.',
    ]
  }
  return [
    ...(report.kind === 'manual' ? [] : [beginning(report)]),
    ...missing(report),
    ...report.sections.flatMap(sampled),
    ...(capped === null
      ? []
      : [
          `The file reached its cap of ${capped}. Of the ${count(statistics.packets)} packets until it was resolved, those behind the cap were counted, not recorded.`,
        ]),
    ...(statistics.sampling === undefined
      ? []
      : [
          `The figures from freeze to resolve are estimates: the kernel kept 1 of ${spread(statistics.sampling)} packets.`,
        ]),
    ...(coverage.clock.backSteps === 0
      ? []
      : [
          `The packets’ clock stepped back ${times(coverage.clock.backSteps)}, by ${duration(coverage.clock.largestBackStep)} at most.`,
        ]),
    ...(recovered
      ? ['Its writer died. The file was cut back to its last whole packet when the next ring started.']
      : []),
    ...(error === null ? [] : [`Recording ended with ${error}; what is in the file is whole.`]),
  ]
}

/** What was lost between the first packet in the file and the last. */
export function lossInWords({ loss, source, mode }: IncidentReport): string {
  if (mode === 'statistics') return `The network device dropped ${packets(loss.interface)}.`
  const { kernel, interface: device, writer } = loss
  const parts = [
    [kernel, 'dropped by the kernel'],
    [device, 'by the network device'],
    [writer, 'not written, as the disk was too slow'],
  ] as const
  const lost = parts.filter(([number]) => number > 0).map(([number, how]) => `${packets(number)} ${how}`)
  if (lost.length > 0) return `Lost between the first packet in the file and the last: ${lost.join(', ')}.`
  return source === 'file'
    ? 'No packet of the recording was lost. What was lost when that was made, nobody knows.'
    : 'No packet was lost between the first one in the file and the last.'
}

/** Of a recording without a report. */
export function recordingInWords({ error, packets: read, from }: RecordingReport): string[] {
  return [
    error === null
      ? `It was read to its end: ${packets(read)}.`
      : `It is damaged. ${read === 1 ? 'One packet' : packets(read)} could be read; then ${damage(error)}.`,
    ...(from === null && read > 0 ? ['Its packets have no times.'] : []),
    'No report of an incident came with it. Whether packets are missing, when an attack began, and who recorded it is not known.',
  ]
}

/** Without the path, which is nobody's business who is handed the page. */
const damage = (error: string): string => {
  const [, what] = /^'[\s\S]*' (is damaged at byte \d+: [\s\S]*)$/.exec(error) ?? []
  return what === undefined ? error : `it ${what}`
}

function beginning({ coverage }: IncidentReport): string {
  const { onsetAt, onsetSource, preOnsetPackets, preOnsetSpan } = coverage
  if (onsetAt === null) return 'Where the attack began is not known: no onset was kept, and nobody named one.'
  const who =
    onsetSource === 'since' ? `by the host’s own account, at ${onsetAt}` : `at ${onsetAt}, by its first packet`
  const before =
    preOnsetPackets === 0
      ? 'The file has no packet from before that.'
      : `The file has ${packets(preOnsetPackets)} from before that, which reach ${duration(preOnsetSpan)} back.`
  return `The attack began ${who}. ${before}`
}

function missing(report: IncidentReport): string[] {
  const { coverage, packets: recorded } = report
  const { complete, gaps } = coverage
  if (complete)
    return recorded === 0
      ? ['The file has no packets.']
      : ['Nothing is missing between the first packet in the file and the last.']
  if (gaps.length === 0) return ['Whether packets are missing between the first one and the last is not known.']
  const known = gaps.every((gap) => gap.packets !== null)
  const sum = gaps.reduce((all, gap) => all + (gap.packets ?? 0), 0)
  const exact = known && gaps.every((gap) => gap.exact)
  const many =
    sum === 0 && !known
      ? 'Packets are'
      : `${exact ? '' : known ? 'About ' : 'At least '}${packets(sum)} ${sum === 1 ? 'is' : 'are'}`
  const rest = gaps.length - mostGaps
  const words = gaps.slice(0, mostGaps).map((gap) => gapInWords(gap, whyMissing(gap, report)))
  if (gaps.length === 1) return words
  return [
    `${many} missing in ${count(gaps.length)} places.`,
    ...words,
    ...(rest > 0 ? [`The other ${count(rest)} are in the JSON report.`] : []),
  ]
}

/** What the ring did not keep from the last packet before the cap on came too late, not too early. */
function whyMissing({ from, reason }: Gap, { capped, sections }: IncidentReport): string {
  const attack = sections.find(({ name }) => name === 'attack')
  if (reason === 'ring' && capped !== null && attack !== undefined && from >= attack.to) {
    return 'they came after the cap, and were only counted'
  }
  return reasons[reason] ?? reason
}

function gapInWords({ from, to, packets: number, exact }: Gap, why: string): string {
  const many =
    number === null
      ? 'An unknown number of packets is'
      : `${exact ? '' : 'About '}${packets(number)} ${number === 1 ? 'is' : 'are'}`
  return `${many} missing from ${from} to ${to}: ${why}.`
}

function sampled({ name, sampling }: Section): string[] {
  if (sampling === null) return []
  return [`Each packet in ${name} stands for ${spread(sampling)} that came by.`]
}

const spread = ({ min, max }: { min: number; max: number }): string =>
  min === max ? count(max) : `${count(min)} to ${count(max)}`
const packets = (number: number): string => `${count(number)} packet${number === 1 ? '' : 's'}`
const times = (number: number): string => (number === 1 ? 'once' : `${count(number)} times`)
