// The bench's own parts: its options, what it makes of samples, and one sample that is really taken.

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'

import { casesShown } from '../bench/chart.js'
import { baseline, contestants, find } from '../bench/contestants.js'
import { derive, pairs } from '../bench/derive.js'
import { measure } from '../bench/measure.js'
import { type Options, parseOptions, type Rate, UsageError } from '../bench/options.js'
import { chosen, estimateMs, turns } from '../bench/plan.js'
import { cores } from '../bench/proc.js'
import { questions } from '../bench/questions.js'
import type { Sample } from '../bench/samples.js'
import { pace } from '../bench/sender.js'
import { median, medianInterval, percentile, range, ratios } from '../bench/statistics.js'
import { summary } from '../bench/summary.js'
import { figure, markdown, spread } from '../bench/table.js'
import { makePair, noNamespaces, noTool } from './support/netns.js'

const parse = (...args: string[]): Options => parseOptions(args, 'out') as Options

t.test('options', async (t) => {
  const all = parse()
  t.equal(all.only.length, contestants.length)
  t.same([all.rounds, all.seconds, all.rates, all.sizes], [5, 5, [1_000, 10_000, 100_000, 'flat'], [64, 512, 1_514]])
  t.same([all.specials, all.out, all.ratesGiven], [['timer', 'freeze'], 'out', false])
  const some = parse(
    '--only',
    'floor,timer',
    '--rounds=7',
    '--rates',
    'flat,50000',
    '--out',
    'there',
    '--pattern',
    'even',
  )
  t.same([some.only, some.specials, some.rounds, some.rates], [['floor'], ['timer'], 7, ['flat', 50_000]])
  t.same([some.out, some.ratesGiven, some.pattern], ['there', true, 'even'])
  t.equal(parseOptions(['--help'], 'out'), null)

  for (const [args, what] of [
    [['--only', 'tcpdumb'], /no contestant "tcpdumb"; there are nothing, reject, floor/],
    [['--only', 'floor,floor'], /twice/],
    [['--rounds', '0'], /--rounds takes a whole number from 1 to 100, not "0"/],
    [['--seconds', '8'], /--seconds .* 1 to 7/],
    [['--rates', '10k'], /--rates .* not "10k"/],
    [['--sizes', '63'], /--sizes .* 64 to 1514/],
    [['--pattern', 'odd'], /--pattern takes trains or even, not "odd"/],
    [['--rounds'], /--rounds needs a value/],
    [['--out='], /--out needs a value/],
    [['--fast', '1'], /unknown option "--fast"/],
    [['flat'], /unknown option "flat"/],
  ] as const) {
    const thrown = t.throws(() => parse(...args)) as Error
    t.ok(thrown instanceof UsageError, args.join(' '))
    t.match(thrown.message, what)
  }
})

t.test('statistics', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.throws(() => median([]), RangeError)
  t.same(range([3, 1, 2]), { low: 1, high: 3 })
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
  t.equal(percentile(hundred, 0.99), 99)
  t.equal(percentile([5], 0.99), 5)
  t.same(ratios([[6, 3]]), [2])

  t.test('the interval of a median', async (t) => {
    // Of the binomial distribution with n tosses of a coin.
    t.same(medianInterval([1, 2, 3, 4, 5]), { low: 1, high: 5, confidence: 0.9375 })
    t.same(medianInterval([1, 2, 3, 4, 5, 6]), { low: 1, high: 6, confidence: 0.96875 })
    const ten = medianInterval(hundred.slice(0, 10))
    t.same([ten.low, ten.high, ten.confidence.toFixed(4)], [2, 9, '0.9785'])
    const many = medianInterval(hundred)
    t.same([many.low, many.high, many.confidence.toFixed(4)], [40, 61, '0.9648'])
    t.equal(medianInterval([1]).confidence, 0)
  })
})

t.test('tables', async (t) => {
  t.equal(figure(1_234.5), '1,235')
  t.equal(figure(12.34), '12.3')
  t.equal(figure(0.00123), '0.0012')
  t.equal(figure(0), '0')
  t.equal(figure(Number.NaN), '–')
  t.equal(spread([3, 1, 2], ' ms'), '2.00 ms (1.00–3.00)')
  t.equal(spread([]), '–')
  t.equal(markdown(['a', 'b'], [['long one', '1']]), '| a        |   b |\n|----------|----:|\n| long one |   1 |')
})

t.test('turns', async (t) => {
  const options = parse('--only', 'floor,pcap-ring-capped,timer', '--rounds', '2', '--sizes', '64')
  t.same(
    chosen(options, new Set()).map(({ name }) => name),
    [baseline, 'floor', 'pcap-ring-capped'],
    'the baseline is always there',
  )
  const all = turns(options, new Set())
  const at = (rate: number | 'flat', round: number): string[] =>
    all
      .filter((one) => one.bench === 'grid' && one.rate === rate && one.round === round)
      .map(({ contestant }) => contestant.name)
  t.same(at(1_000, 1), ['nothing', 'floor'], 'what is asked flat out only stays away')
  t.same(at('flat', 1), ['nothing', 'floor', 'pcap-ring-capped'])
  t.same(at('flat', 2), ['pcap-ring-capped', 'floor', 'nothing'], 'every other round backwards')
  t.equal(all.filter(({ bench }) => bench === 'timer').length, 4)
  t.equal(turns({ ...options, ratesGiven: true }, new Set()).length, all.length + 6)
  t.equal(turns(options, new Set(['floor'])).length, all.length - 8)
  t.same(turns(parse('--only', 'freeze'), new Set()), [])
  t.ok(estimateMs(parse(), turns(parse(), new Set())) < 95 * 60_000, 'the whole takes an hour and a half')
  t.same(casesShown([{ rate: 'flat', bytes: 512 }]), [{ rate: 'flat', bytes: 512 }])
})

t.test('rates', async (t) => {
  const trains = (rate: Rate): string => pace({ rate, pattern: 'trains' })
  t.equal(trains('flat'), 'pps=0')
  t.equal(trains(1), 'pulse=1:1000')
  t.equal(trains(1_500), 'pulse=2:1.3333333333333333')
  t.equal(trains(100_000), 'pulse=100:1')
  t.equal(pace({ rate: 1_500, pattern: 'even' }), 'pps=1500')
})

const sample = (contestant: string, values: Partial<Sample>): Sample => ({
  bench: 'grid',
  round: 1,
  contestant,
  rate: 'flat',
  pattern: 'trains',
  bytes: 64,
  windowNs: 1e9,
  offered: 1e6,
  senderNs: 6e8,
  softirqNs: 0,
  receiverNs: 1e7,
  threadNs: null,
  sent: 2e6,
  lost: null,
  pssKib: 10_240,
  kernelRingKib: 0,
  timerMs: null,
  sampling: null,
  ...values,
})

t.test('figures', async (t) => {
  const samples = [
    sample(baseline, { timerMs: 1 }),
    sample('pcap-ring', { receiverNs: 3e7, threadNs: 4e6, pssKib: 18_432, sampling: 32, timerMs: 2 }),
    sample('ftagent', { receiverNs: 1e8, softirqNs: 1e8, lost: 1e6 }),
    sample('dumpcap', { receiverNs: 2e8, lost: 0 }),
  ]
  const [, ring, ftagent] = derive(samples)
  t.match(ring, { cpu: 20, thread: 4, receiving: 4, share: 0.004, kernel: 0, loss: null, memory: 8, sampling: 32 })
  t.match(ftagent, { cpu: 100, thread: null, receiving: 100, share: 0.1, kernel: 100, loss: 0.5, memory: 10 })
  const figures = derive(samples)
  const of = (name: string) => figures.filter(({ contestant }) => contestant === name)
  t.same(
    pairs(of('ftagent'), of('pcap-ring'), ({ cpu }) => cpu),
    [[100, 20]],
  )
  t.same(
    pairs(of('ftagent'), of('floor'), ({ cpu }) => cpu),
    [],
  )

  const asked = questions(figures, [], [{ round: 1, busy: 'no', flushedMs: 90 }])
  const measured = (what: RegExp): string | undefined => asked.find((one) => what.test(one.what))?.measured
  t.equal(measured(/^capture thread, share of a core: flat out, 64 B$/), '0.40 %')
  t.equal(measured(/^cheapest rival with a ring, times pcap-ring \(its thread\): flat out/), '25.0')
  t.equal(measured(/^cheapest rival with a ring, times pcap-ring \(its process\): flat out/), '5.00')
  t.equal(measured(/^freeze to flushed, 99th percentile of 1$/), '90.0 ms')
  t.equal(measured(/libpcap/), undefined, 'nothing is said of what was not measured')

  const text = summary({
    samples,
    freezes: [],
    cases: [{ rate: 'flat', bytes: 64 }],
    missing: new Map([['cap', 'it does not compile']]),
    failures: ['round 1: it died'],
    machine: ['a machine'],
  })
  t.match(text, '- cap: it does not compile')
  t.match(text, '- round 1: it died')
  t.match(text, /\| ftagent +\| +100 \|/)
})

t.test('a sample', { skip: noNamespaces || noTool('taskset') || noTool('g++') || noTool('cc') }, async (t) => {
  const root = resolve(__dirname, '..')
  const core = cores()[0] as number
  const { here, there } = makePair(t)
  const build = t.testdir({})
  for (const [compiler, ...args] of [
    ['g++', '-std=c++20', 'bench/receiver.cc', '-lpcap', '-o', join(build, 'receiver')],
    ['cc', 'test/support/sender.c', '-lm', '-o', join(build, 'sender')],
  ] as [string, ...string[]][]) {
    t.equal(spawnSync(compiler, args, { cwd: root }).status, 0, compiler)
  }
  const scratch = join(build, 'scratch')
  mkdirSync(scratch)
  const ground = {
    root,
    here,
    there,
    senderCore: core,
    receiverCore: core,
    sender: join(build, 'sender'),
    receiver: join(build, 'receiver'),
    scratch,
  }
  const { offered, sent, lost, windowNs, receiverNs, senderNs, kernelRingKib, pssKib } = await measure(
    ground,
    find('libpcap'),
    { rate: 1_000, pattern: 'trains', bytes: 64 },
    { seconds: 1, timerSeconds: 0 },
  )
  t.ok(offered > 500 && offered < 2_000, `${offered} frames offered`)
  t.ok(sent > offered, `${sent} sent`)
  t.equal(lost, 0)
  t.ok(windowNs >= 1e9)
  t.ok(receiverNs > 0 && senderNs > receiverNs, `CPU: ${receiverNs} and ${senderNs} ns`)
  t.equal(kernelRingKib, 2_048)
  t.ok(pssKib > kernelRingKib)
})
