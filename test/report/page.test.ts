/// <reference lib="dom" />

// The page in a browser: an incident from our own recording, and of each real flood an incident and the bare recording.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Test, test } from 'tap'

import type { Incident, IncidentReport, Traffic, TrafficAddresses } from '../../src/index.js'
import { type AnyReport, render, summarize } from '../../src/report/index.js'
import { browserOf, coloursOf, noBrowser, type Opened, open } from '../support/browser.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { floodReport } from '../support/flood-report.js'
import { udpPackets } from '../support/generate.js'
import { strings, withString } from '../support/hostile.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'
import { exampleReport } from '../support/report.js'

const skip = noBrowser
const schemes = ['light', 'dark'] as const
const widths = [390, 1_280] as const

/** What is drawn of each part: fills are of the style sheet, so a browser knows them. */
const fillOf = (page: Page, selector: string): Promise<string> =>
  page
    .locator(selector)
    .first()
    .evaluate((element) => getComputedStyle(element).fill)

const figuresOn = (page: Page): Promise<Record<string, number>> =>
  page
    .locator('data[data-figure]')
    .evaluateAll((all) =>
      Object.fromEntries(all.map((one) => [one.getAttribute('data-figure'), Number(one.getAttribute('value'))])),
    )

const tableOn = (page: Page, name: string): Promise<[string, number][]> =>
  page
    .locator(`table[data-table="${name}"] tbody tr`)
    .evaluateAll((rows) =>
      rows
        .filter((row) => row.querySelector('data') !== null)
        .map((row): [string, number] => [
          row.querySelector('th')?.textContent ?? '',
          Number(row.querySelector('data')?.getAttribute('value')),
        ]),
    )

async function judgeFigures(t: Test, page: Page, report: AnyReport): Promise<void> {
  const figures = await figuresOn(page)
  const { packets, bytes } = report
  t.match(figures, { packets, bytes, ...(report.duration !== null && { duration: report.duration }) })
  if (report.kind !== 'recording') {
    const { peakPps, peakBps, packets: counted } = report.statistics
    t.match(figures, { 'peak-pps': peakPps.value, 'peak-bps': peakBps.value, counted })
  }
  const parts = await page
    .locator('data[data-part]')
    .evaluateAll((all) => all.reduce((sum, one) => sum + Number(one.getAttribute('value')), 0))
  t.equal(
    parts,
    report.sections.reduce((sum, section) => sum + section.packets, 0),
    'the parts are all packets',
  )
  const { traffic } = report
  if (traffic === null) return
  const { tcp, udp, icmp, other }: Traffic['protocols'] = traffic.protocols
  t.strictSame(
    (await tableOn(page, 'protocols')).map(([, value]) => value),
    [tcp, udp, icmp, other, traffic.fragments],
  )
  t.strictSame(
    (await tableOn(page, 'sizes')).map(([, value]) => value),
    traffic.sizes.map((size) => size.packets),
  )
  for (const side of ['sources', 'destinations'] as const) {
    const addresses: TrafficAddresses = traffic[side]
    const wanted: unknown[] = addresses.top.map((one) => [one.address, one.packets])
    if (addresses.other > 0) wanted.push(['all others', addresses.other])
    t.strictSame(await tableOn(page, side), wanted, side)
  }
  for (const side of ['source', 'destination'] as const) {
    const ports: Traffic['ports'] = traffic.ports
    const wanted = ports.filter((port) => port.side === side).map((port) => port.packets)
    const found = (await tableOn(page, `${side}-ports`)).map(([, value]) => value)
    t.strictSame(found, wanted.sort((a, b) => b - a).slice(0, 10), `${side} ports`)
  }
}

/** The bar has the parts' shares in its pixels, and each plot the colours of what it says it shows. */
async function judgePlots(t: Test, browser: Browser, page: Page, report: AnyReport): Promise<void> {
  if (report.sections.length === 0) return
  const bar = page.locator('.bar')
  const row = await coloursOf(browser, await bar.screenshot(), 4)
  const width = [...row.values()].reduce((sum, pixels) => sum + pixels, 0)
  for (const [name, selector] of [
    ['attack', '.bar .part-attack'],
    ['pre-buffer', '.bar .part-pre'],
    ['recording', '.bar .part-recording'],
  ] as const) {
    if ((await page.locator(selector).count()) === 0) continue
    const drawn = (row.get(await fillOf(page, selector)) ?? 0) / width
    const packets = report.sections.reduce((sum, section) => sum + (section.name === name ? section.packets : 0), 0)
    t.ok(Math.abs(drawn - packets / report.packets) < 0.04, `${name}: ${drawn} of the bar`)
  }
  for (const plot of await page.locator('.plot').all()) {
    const colours = await coloursOf(browser, await plot.screenshot())
    let drawn = 0
    for (const path of await plot.locator('path').all()) {
      const fill = await path.evaluate((element) => getComputedStyle(element).fill)
      const pixels = fill.startsWith('url') ? 1 : (colours.get(fill) ?? 0)
      // What is lower has no pixel that is of it alone.
      const low = ((await path.boundingBox())?.height ?? 0) < 5
      t.ok(low || pixels > 0, `${await path.getAttribute('class')} is drawn`)
      drawn += pixels
    }
    t.ok(drawn > 200, `${drawn} pixels`)
  }
}

/** On a desk and on a phone; `all`: in both schemes on either. */
async function judge(t: Test, browser: Browser, report: AnyReport, all = false): Promise<void> {
  const html = render(report)
  t.ok(Buffer.byteLength(html) < 500_000, `${Buffer.byteLength(html)} bytes`)
  for (const width of widths) {
    for (const colorScheme of schemes) {
      if (!all && (width === 390) === (colorScheme === 'light')) continue
      const { page, said } = await open(t, browser, html, { viewport: { width, height: 900 }, colorScheme })
      t.strictSame(said, [], 'no console, no request')
      t.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, 'as wide as the screen')
      await judgePlots(t, browser, page, report)
      if (width === 1_280 && colorScheme === 'light') {
        await judgeFigures(t, page, report)
        t.ok((await pagesOf(page)) <= 2, 'two pages')
      }
      await page.context().close()
    }
  }
}

async function pagesOf(page: Page): Promise<number> {
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1')
  return (pdf.match(/\/Type\s*\/Page\b/g) ?? []).length
}

async function incidentOf(t: Test, file: string): Promise<IncidentReport> {
  const ring = ringOf(t, { file, statsInterval: 50 })
  ring.on('warning', () => {})
  let incident: Incident | undefined
  ring.on('stats', ({ pps }) => {
    if (incident === undefined && pps >= 1_000) incident = ring.freeze()
    else if (incident !== undefined && pps < 500) void incident.resolve()
  })
  await replay(ring)
  return (incident ?? ring.freeze()).resolve()
}

const floods = noCaptures ? [] : captureNames().filter((name) => /^(flood-|amp-|icmp-exactly|synscan)/.test(name))

test('our own incident', { skip }, async (t) => {
  const browser = await browserOf(t)
  const report = await floodReport(t)
  t.strictSame(
    report.sections.map(({ name }) => name),
    ['pre-buffer', 'onset', 'attack', 'resolution'],
  )
  await judge(t, browser, report, true)
  const { page } = await open(t, browser, render(report))
  t.strictSame(await page.locator('.bar rect').count(), 4)
  const labels = await page.locator('.plot').first().locator('.label').allTextContents()
  const marks = labels.map((label) => label.split(' ')[0])
  t.strictSame(marks.sort(), ['cap', 'freeze', 'onset', 'resolved'])
  t.equal(await page.locator('[data-figure=vector]').textContent(), 'dns-amplification')
  t.equal(await page.locator('[data-figure=severity]').textContent(), 'high')
})

test('real floods, as incidents and alone', { skip: skip || noCaptures, timeout: 300_000 }, async (t) => {
  t.ok(floods.length >= 6, floods.join(', '))
  const browser = await browserOf(t)
  for (const name of floods) {
    await t.test(name, async (t) => {
      await judge(t, browser, await incidentOf(t, capturePath(name)))
      await judge(t, browser, await summarize(capturePath(name)))
    })
  }
})

test('damaged and mixed ones', { skip: skip || noCaptures }, async (t) => {
  const browser = await browserOf(t)
  for (const name of ['mal-cut-in-packet.pcap', 'zero-bytes.pcap', 'ng-many-interfaces.pcapng', 'hdr-only.pcap']) {
    await judge(t, browser, await summarize(capturePath(name)))
  }
})

interface Axe {
  run(options: object): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>
}
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

test('axe finds nothing', { skip }, async (t) => {
  const browser = await browserOf(t)
  const html = render(await floodReport(t))
  for (const width of widths) {
    for (const colorScheme of schemes) {
      const { page } = await open(t, browser, html, { viewport: { width, height: 900 }, colorScheme })
      for (const details of await page.locator('summary').all()) await details.click()
      await page.evaluate(axeSource)
      const violations = await page.evaluate(async () => {
        const { axe } = globalThis as unknown as { axe: Axe }
        const found = await axe.run({ resultTypes: ['violations'] })
        return found.violations.map(
          ({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html).join(' ')}`,
        )
      })
      t.strictSame(violations, [], `${width} ${colorScheme}`)
    }
  }
})

test('the keyboard reaches everything', { skip }, async (t) => {
  const { page } = await open(t, await browserOf(t), render(await floodReport(t)), {
    viewport: { width: 390, height: 700 },
  })
  const wanted = await page.locator('a, summary, [tabindex="0"]').count()
  t.ok(wanted >= 7)
  const reached: string[] = []
  for (;;) {
    await page.keyboard.press('Tab')
    const focused = await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 80) ?? '')
    if (focused.startsWith('<body') || reached.length > wanted) break
    reached.push(focused)
    if (focused.startsWith('<summary')) {
      const there = page.locator('summary:focus + table')
      t.equal(await there.isVisible(), false)
      await page.keyboard.press('Enter')
      t.equal(await there.isVisible(), true, 'the plot as a table')
    }
  }
  t.equal(new Set(reached).size, wanted)
  await page.locator('.scroll').focus()
  await page.keyboard.press('ArrowRight')
  await page.waitForFunction(() => (document.querySelector('.scroll')?.scrollLeft ?? 0) > 0)
})

test('without colour it still reads', { skip }, async (t) => {
  const { page } = await open(t, await browserOf(t), render(await floodReport(t)))
  const session = await page.context().newCDPSession(page)
  await session.send('Emulation.setEmulatedVisionDeficiency', { type: 'achromatopsia' })
  const legend = page.locator('#composition .legend li')
  const seen = await Promise.all(
    (await legend.locator('.swatch').all()).map(async (one) => (await one.screenshot()).toString('base64')),
  )
  t.equal(new Set(seen).size, 4, 'each part looks different')
  t.strictSame(await legend.locator('b').allTextContents(), ['PRE', 'ONSET', 'ATTACK', 'END'])
})

test('two pages of A4, with as much text as a report may have', { skip }, async (t) => {
  const report = await floodReport(t)
  const at = report.frozenAt
  const full: IncidentReport = {
    ...report,
    id: 'i'.repeat(64),
    reason: 'reason '.repeat(146),
    labels: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`label-${i}`, 'v'.repeat(58)])),
    filter: 'host 10.0.0.1 or '.repeat(20),
    coverage: {
      ...report.coverage,
      gaps: Array(256).fill({ from: at, to: at, packets: null, exact: false, reason: 'kernel' }),
    },
    traffic: {
      ...(report.traffic as NonNullable<IncidentReport['traffic']>),
      protocols: { tcp: 1, udp: 1, icmp: 1, other: 1 },
      sources: {
        count: 1e6,
        estimated: true,
        top: Array.from({ length: 10 }, (_, i) => ({
          address: `2001:db8:1234:5678:9abc:def0:1234:567${i}`,
          packets: 9,
          bytes: 9,
        })),
        other: 5,
      },
      ports: (['tcp', 'udp'] as const).flatMap((proto) =>
        (['source', 'destination'] as const).flatMap((side) =>
          Array.from({ length: 10 }, (_, i) => ({ proto, side, port: 60_000 + i, packets: 10 - i })),
        ),
      ),
    },
  }
  const { page } = await open(t, await browserOf(t), render(full))
  t.equal(await pagesOf(page), 2)
})

test('HTML and script in every field stay text, and the policy forbids what is not there', { skip }, async (t) => {
  const browser = await browserOf(t)
  const hostile =
    '</title></style></svg>"\'><script>globalThis.hacked = 1</script><img src="https://example.org/x" onerror="hacked = 1">'
  const plain = await floodReport(t)
  let report: AnyReport = plain
  for (const place of strings(plain)) {
    const changed: AnyReport = withString(report, place, hostile)
    try {
      render(changed)
      report = changed
    } catch {
      // Not a place for any text.
    }
  }
  t.equal((report as IncidentReport).custody.host.hostname, hostile)
  report = { ...(report as IncidentReport), labels: { [hostile]: hostile } }
  const { page, said } = await open(t, browser, render(report))
  t.strictSame(said, [])
  t.equal(await page.evaluate(() => (globalThis as { hacked?: number }).hacked), undefined)
  t.equal(await page.locator('script, img').count(), 0)
  t.equal(await page.title(), `Incident ${hostile}`, 'it is there to be read')
  t.ok((await page.locator('.facts').allTextContents()).some((text) => text.includes(hostile)))

  const blocked = await page.evaluate(async () => {
    const directives = new Set<string>()
    document.addEventListener('securitypolicyviolation', (event) => directives.add(event.effectiveDirective))
    const script = document.createElement('script')
    script.textContent = 'globalThis.hacked = 2'
    const style = document.createElement('style')
    style.textContent = 'body { display: none }'
    document.body.append(script, style)
    document.body.insertAdjacentHTML(
      'beforeend',
      '<img src="https://example.org/x"><p style="color: red">x</p><iframe src="https://example.org/"></iframe>',
    )
    await new Promise((resolve) => setTimeout(resolve, 200))
    return [...directives].sort()
  })
  t.strictSame(blocked, ['frame-src', 'img-src', 'script-src-elem', 'style-src-attr', 'style-src-elem'])
  t.equal(await page.evaluate(() => (globalThis as { hacked?: number }).hacked), undefined)
})

test('10,000 packets are read, rendered and shown at once', { skip }, async (t) => {
  const browser = await browserOf(t)
  const file = join(scratch(t), 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 20_000, count: 10_000, size: 512 })))
  const begin = performance.now()
  const html = render(await summarize(file))
  const rendered = performance.now()
  const { page }: Opened = await open(t, browser, html)
  await page.locator('.plot').screenshot()
  const shown = performance.now()
  t.comment(
    `${Math.round(rendered - begin)} ms to read and render, ${Math.round(shown - rendered)} ms to show, ${html.length} bytes`,
  )
  // 2 s, and three times that where others use the machine, too.
  t.ok(shown - begin < 6_000, `${Math.round(shown - begin)} ms`)
  t.ok(render(exampleReport()).length < 500_000)
})
