// The page as text: its formats, its policy, and that nothing of a report becomes markup. In a browser: test/browser.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'tap'

import { type AnyReport, render } from '../../src/report/index.js'
import type { IncidentReport } from '../../src/types.js'
import { floodReport } from '../support/flood-report.js'
import { repository } from '../support/host.js'
import { strings, withString } from '../support/hostile.js'
import { exampleRecording, exampleReport } from '../support/report.js'

test('one file that loads nothing and runs nothing', async (t) => {
  const page = render(await floodReport(t))
  const [, policy = ''] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page) ?? []
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? []
  const digest = createHash('sha256').update(style).digest('base64')
  t.equal(
    policy.replaceAll('&#39;', "'"),
    `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`,
  )
  t.notMatch(page, /<(script|link|img|iframe|object|embed|form|base|foreignObject)\b/i)
  t.notMatch(page, /\s(style|src|on\w+|xlink:href)=/i)
  t.notMatch(page, /url\((?!#)|@import|https?:/i)
  for (const [, target] of page.matchAll(/href="([^"]*)"/g)) t.match(target, /^#[a-z]+$/)
  t.ok(Buffer.byteLength(page) < 500_000, `${Buffer.byteLength(page)} bytes`)
})

test('each figure of a report is on the page', async (t) => {
  const report = await floodReport(t)
  const page = render(report)
  const figure = (name: string): number => Number(new RegExp(`data-figure="${name}" value="([^"]*)"`).exec(page)?.[1])
  t.equal(figure('packets'), report.packets)
  t.equal(figure('bytes'), report.bytes)
  t.equal(figure('duration'), report.duration)
  t.equal(figure('peak-pps'), report.statistics.peakPps.value)
  t.equal(figure('peak-bps'), report.statistics.peakBps.value)
  t.equal(figure('counted'), report.statistics.packets)
  for (const text of [report.sha256, report.frozenAt, report.resolvedAt, report.from, report.custody.host.hostname]) {
    t.match(page, text)
  }
})

test('what could not be found out of the host and of its device', (t) => {
  const { custody } = exampleReport()
  const device = { name: 'eth0', index: 0, mac: null, mtu: null, speed: null, driver: null, promiscuous: false }
  const clock = { synchronised: null, maxErrorUs: null }
  const host = { ...custody.host, bootId: null }
  const page = render(exampleReport({ custody: { ...custody, host, device, clock } }))
  t.match(page, /Boot[\s\S]{0,40}not known/)
  t.notMatch(page, /MTU|null/)
  t.end()
})

test('what was only counted behind the cap makes no higher rate', async (t) => {
  const report = await floodReport(t)
  t.equal(report.capped, 'packets')
  const [, highest] = /The highest rate drawn is ([\d.]+) kpps/.exec(render(report)) ?? []
  // Bins are shorter than the intervals of the peak.
  t.ok(Number(highest) < (report.statistics.peakPps.value / 1_000) * 1.1, `${highest} kpps`)
})

test('whatever stands in any field stays text', async (t) => {
  const report = await floodReport(t)
  const reports: AnyReport[] = [report, exampleRecording({ error: 'damaged' })]
  const plain = reports.map((one) => render(one))
  for (const [i, one] of reports.entries()) {
    for (const place of strings(one)) {
      for (const hostile of [
        '</style><script>alert(1)</script>',
        '"><img src=x onerror=alert(1)>',
        "'&\u202e\u0000\n",
      ]) {
        const changed = withString(one, place, hostile)
        let page: string
        try {
          page = render(changed)
        } catch (error) {
          // Times, and what is one of a few words, are nothing else.
          t.match(error, { code: 'ERR_INVALID_ARG_VALUE' }, place.join('.'))
          continue
        }
        const tags = (text: string): number => (text.match(/</g) ?? []).length
        t.notMatch(page, /<script|<img|\p{Cf}|\p{Cc}(?<!\n)/u, place.join('.'))
        // As many tags as before, but for what depends on the value: a part of the bar, a class, a command.
        t.ok(Math.abs(tags(page) - tags(plain[i] as string)) < 40, place.join('.'))
        const markdown = render(changed, { format: 'markdown' }).replace(/^ {4}.*$/gm, '')
        t.notMatch(markdown, /<script|<img|\p{Cf}|\p{Cc}(?<!\n)/u, `${place.join('.')} in Markdown`)
      }
    }
  }
})

test('Markdown has the figures, and keeps its tables', async (t) => {
  const report = { ...(await floodReport(t)), reason: 'a | b\n# c [x](http://y) *z*', labels: { 'a|b': '`c`' } }
  const text = render(report, { format: 'markdown' })
  t.match(text, `# Incident ${report.id}\n`)
  t.match(text, 'a \\| b\\u000a\\# c \\[x\\]\\(http:\\/\\/y\\) \\*z\\*'.replace('\\u000a', '\\\\u000a'))
  t.match(text, '| a\\|b | \\`c\\` |')
  t.match(text, /\| packets in the file \| [\d,]+ \|/)
  t.match(text, /\*\*PRE\*\* 500/)
  for (const block of text.split('\n\n').filter((part) => part.startsWith('|'))) {
    const cells = block.split('\n').map((row) => (row.replace(/\\\|/g, '').match(/\|/g) ?? []).length)
    t.equal(new Set(cells).size, 1, block)
  }
})

test('JSON is the report', (t) => {
  const report = exampleReport()
  t.strictSame(JSON.parse(render(report, { format: 'json' })), report)
  t.end()
})

test('in plain words', (t) => {
  const { coverage } = exampleReport()
  const at = '2024-01-01T00:00:01.000000Z'
  const gap = { from: at, to: '2024-01-01T00:00:02.000000Z', packets: 1, exact: true, reason: 'ring' } as const
  const page = (over: Partial<IncidentReport>): string =>
    render(exampleReport(over)).replace(/<span class="time">(.*?)<\/span>/g, '$1')
  t.match(page({}), 'Nothing is missing between the first packet in the file and the last.')
  t.match(page({}), 'Where the attack began is not known')
  t.match(page({ coverage: { ...coverage, complete: false } }), 'Whether packets are missing')
  t.match(page({ coverage: { ...coverage, complete: false, gaps: [gap] } }), '1 packet is missing from 2024')
  const several = page({
    coverage: {
      ...coverage,
      complete: false,
      gaps: [gap, { ...gap, packets: 4, exact: false, reason: 'sampling' }, ...Array(8).fill(gap)],
    },
  })
  t.match(several, 'About 13 packets are missing in 10 places.')
  t.match(several, 'About 4 packets are missing')
  t.match(several, 'The other 4 are in the JSON report.')
  const [, attack, end] = exampleReport().sections as [unknown, ...IncidentReport['sections']]
  const afterCap = { ...gap, from: attack?.to as string, to: end?.to as string }
  const reserved = { coverage: { ...coverage, complete: false, gaps: [afterCap] } }
  t.match(page(reserved), 'they came after the cap, and were only counted.')
  t.match(page({ ...reserved, capped: null }), 'the ring no longer held them at the freeze.')
  t.match(
    page({ coverage: { ...coverage, complete: false, gaps: [{ ...gap, packets: null }] } }),
    'An unknown number of packets is',
  )
  t.match(
    page({ coverage: { ...coverage, onsetAt: at, onsetSource: 'since', preOnsetPackets: 5, preOnsetSpan: 1_000 } }),
    /by the host’s own account, at 2024.*5 packets from before that, which reach 1 s back/,
  )
  t.match(
    page({ loss: { kernel: 3, interface: 0, writer: 1 } }),
    '3 packets dropped by the kernel, 1 packet not written',
  )
  t.match(page({}), 'No packet was lost between')
  t.match(page({ source: 'file' }), 'nobody knows')
  t.match(page({ recovered: true, sha256: null }), 'Its writer died.')
  t.notMatch(page({ sha256: null }), 'sha256sum')
  t.match(page({ error: 'ERR_PCAP_NO_SPACE' }), 'Recording ended with ERR_PCAP_NO_SPACE')
  t.match(
    page({ coverage: { ...coverage, clock: { backSteps: 1, largestBackStep: 5 } } }),
    'stepped back once, by 5 ms at most',
  )
  t.match(
    page({
      sections: [
        { ...(exampleReport().sections[0] as IncidentReport['sections'][number]), sampling: { min: 2, max: 8 } },
      ],
    }),
    'Each packet in pre-buffer stands for 2 to 8 that came by.',
  )
  t.end()
})

test('statistics only: no file, no commands, the rate all the same', (t) => {
  const page = render(
    exampleReport({
      mode: 'statistics',
      file: null,
      bytes: 0,
      packets: 0,
      sha256: null,
      from: null,
      to: null,
      sections: [],
      traffic: null,
      capped: null,
      statistics: {
        ...exampleReport().statistics,
        protocols: null,
        tcpFlags: null,
        fragments: null,
        timeline: [
          { at: '2024-01-01T00:00:00.000000Z', packets: 600_000, bytes: 38_400_000 },
          { at: '2024-01-01T00:00:06.000000Z', packets: 40_000, bytes: 2_560_000 },
        ],
      },
    }),
  )
  t.match(page, 'No packet was recorded')
  t.match(page, 'class="plot"')
  t.match(page, 'part-counted')
  t.notMatch(page, /id="open"|id="composition"|id="traffic"/)
  t.end()
})

test('what is no report is refused', (t) => {
  const wrong = (report: unknown, options?: object): void => void render(report as AnyReport, options)
  t.throws(() => wrong(undefined), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => wrong('x'), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => wrong({}), { code: 'ERR_INVALID_ARG_VALUE', message: /must be a report of version 1/ })
  t.throws(() => wrong({ ...exampleReport(), frozenAt: 'yesterday' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => wrong({ ...exampleReport(), packets: NaN }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => wrong(exampleReport(), { format: 'pdf' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => render(exampleReport(), null as unknown as object), { code: 'ERR_INVALID_ARG_TYPE' })
  t.end()
})

test('importing it loads no addon and nothing that is not in the package', (t) => {
  const program = `const Module = require('node:module')
    const load = Module._load
    Module._load = (name, ...rest) => {
      if (!/^(\\.|node:)/.test(name) && !name.startsWith('/')) throw new Error('loads ' + name)
      if (name.endsWith('.node')) throw new Error('loads the addon')
      return load(name, ...rest)
    }
    const { render, summarize } = require(${JSON.stringify(join(repository, 'lib/report/index.js'))})
    if (typeof render !== 'function' || typeof summarize !== 'function') throw new Error('not there')`
  const { status, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.end()
})
