/// <reference lib="dom" />

// Judges a report's page in a browser: it says nothing and asks for nothing, its plots are drawn, its figures are the report's.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'

import type { Traffic } from '../../src/index.js'
import { type AnyReport, render } from '../../src/report/index.js'
import { withPage } from './browser.js'
import { type Box, pictureOf } from './png.js'

const schemes = ['light', 'dark'] as const
const widths = [390, 1_100] as const
/** A phone and a desk, in both schemes. */
export const screens = widths.flatMap((width) =>
  schemes.map((colorScheme) => ({ viewport: { width, height: 900 }, colorScheme })),
)

/** Where pictures of the pages go, to be looked at. */
const pictures = process.env.PCAP_RING_PAGES

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
    .evaluateAll((all) => all.map((one) => Number(one.getAttribute('value'))))
  const sum = (all: number[]): number => all.reduce((total, one) => total + one, 0)
  t.equal(sum(parts), sum(report.sections.map((section) => section.packets)), 'the parts are all packets')
  const sections = await page
    .locator('#composition tbody tr')
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)))
  const count = (value: number): string => value.toLocaleString('en')
  t.strictSame(
    sections,
    report.sections.map((one) => [
      one.name,
      count(one.packets),
      `${count(one.firstFrame)}–${count(one.lastFrame)}`,
      one.from,
      one.to,
    ]),
  )
  // What is read is what stands in the markup.
  const read = await page
    .locator('data')
    .evaluateAll((all) => all.map((one) => [one.textContent ?? '', one.getAttribute('value') ?? ''] as const))
  for (const [text, value] of read) {
    if (/^[\d,]+$/.test(text)) t.equal(text, count(Number(value)))
  }
  const custody = (await page.locator('#custody').textContent()) ?? ''
  const facts = [report.sha256, report.from, report.to]
  if (report.kind !== 'recording') {
    const { frozenAt, resolvedAt, custody } = report
    facts.push(frozenAt, resolvedAt, custody.host.hostname, custody.host.kernel, custody.software.version)
  }
  for (const fact of facts) if (fact !== null) t.ok(custody.includes(fact), `custody: ${fact}`)
  if (report.traffic !== null) await judgeTables(t, page, report.traffic)
}

async function judgeTables(t: Test, page: Page, traffic: NonNullable<AnyReport['traffic']>): Promise<void> {
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
    const addresses = traffic[side]
    const wanted: unknown[] = addresses.top.map((one) => [one.address, one.packets])
    if (addresses.other > 0) wanted.push(['all others', addresses.other])
    t.strictSame(await tableOn(page, side), wanted, side)
  }
  for (const side of ['source', 'destination'] as const) {
    const wanted = traffic.ports.filter((port) => port.side === side).map((port) => port.packets)
    const found = (await tableOn(page, `${side}-ports`)).map(([, value]) => value)
    t.strictSame(found, wanted.sort((a, b) => b - a).slice(0, 10), `${side} ports`)
  }
}

/** The colour of a part; of a pattern, that of what it is drawn with. */
const colourOf = (page: Page, part: string): Promise<string> =>
  page.evaluate((part) => {
    const drawn =
      document.querySelector(`.patterns .${part.replace('part-', '')}`) ?? document.querySelector(`.${part}`)
    return getComputedStyle(drawn as Element).fill
  }, part)

/** Where on the page they are, with their classes. */
const boxesOf = (page: Page, selector: string): Promise<(Box & { part: string })[]> =>
  page.locator(selector).evaluateAll((all) =>
    all.map((one) => {
      const { left, top, width, height } = one.getBoundingClientRect()
      return { part: one.getAttribute('class') ?? '', left: left + scrollX, top: top + scrollY, width, height }
    }),
  )

/** Whether an area has pixels that are of it alone: it is drawn in thousandths of its plot by percents. */
function large(d: string): boolean {
  const points = [...d.matchAll(/([\d.]+),([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const)
  const twice = points.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length] as readonly [number, number]
    return sum + x * nextY - nextX * y
  }, 0)
  // Of its points the first half is its top, the second its bottom, backwards.
  const heights = points.slice(0, points.length / 2).map(([, top], i) => (points.at(-1 - i)?.[1] ?? top) - top)
  return Math.abs(twice) / 2 > 200 && Math.max(...heights) > 8
}

/** Each part of the bar is as wide as it has packets, and each plot shows what it says; both by their colours in the picture. */
async function judgePlots(t: Test, page: Page, report: AnyReport): Promise<void> {
  const plots = await boxesOf(page, '.plot')
  const bars = await boxesOf(page, '.bar')
  const bottom = Math.max(...[...plots, ...bars].map(({ top, height }) => top + height))
  const width = page.viewportSize()?.width ?? 0
  const clip = { x: 0, y: 0, width, height: Math.ceil(bottom) }
  const picture = pictureOf(await page.screenshot({ fullPage: true, clip }))

  const packets = await page
    .locator('data[data-part]')
    .evaluateAll((all) => all.map((one) => Number(one.getAttribute('value'))))
  const parts = await boxesOf(page, '.bar rect')
  t.equal(parts.length, packets.length)
  for (const [i, { part, ...box }] of parts.entries()) {
    const share = box.width / (bars[0] as Box).width
    t.ok(Math.abs(share - (packets[i] as number) / report.packets) < 0.05, `${part}: ${share} of the bar`)
    // Without what is round of the corners; of a pattern a part is another colour.
    const inner = { ...box, top: box.top + 6, height: 6 }
    const { found, of } = picture.count(await colourOf(page, part), inner)
    t.ok(found / of > 0.3, `${part}: ${found} pixels of ${of} have its colour`)
  }

  for (const [i, plot] of plots.entries()) {
    let drawn = 0
    const paths = await page
      .locator(`.plot >> nth=${i} >> path`)
      .evaluateAll((all) => all.map((one) => [one.getAttribute('class') ?? '', one.getAttribute('d') ?? ''] as const))
    for (const [part, d] of paths) {
      const { found } = picture.count(await colourOf(page, part), plot)
      t.ok(found > 0 || !large(d), `${part} is drawn`)
      drawn += found
    }
    t.ok(drawn > 200, `${drawn} pixels`)
  }
}

/** What is to be read in one line stands in one line. */
async function judgeLines(t: Test, page: Page): Promise<void> {
  const broken = await page.locator('.figures dd, .time, .number, .scroll th').evaluateAll((all) =>
    all
      .filter((one) => {
        const range = document.createRange()
        range.selectNodeContents(one)
        const tops = [...range.getClientRects()].map(({ bottom }) => Math.round(bottom))
        return Math.max(...tops) - Math.min(...tops) > 8 || (one.matches('dd') && one.scrollWidth > one.clientWidth)
      })
      .map((one) => one.textContent),
  )
  t.strictSame(broken, [], 'in one line each')
}

/** Pages of paper. */
export async function pagesOf(page: Page): Promise<number> {
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1')
  return (pdf.match(/\/Type\s*\/Page\b/g) ?? []).length
}

/** On every screen, or on some; `name` of its pictures, where they are wanted. */
export async function judgePage(t: Test, name: string, report: AnyReport, on = screens): Promise<void> {
  const html = render(report)
  t.ok(Buffer.byteLength(html) < 500_000, `${Buffer.byteLength(html)} bytes`)
  await withPage(html, {}, async ({ page, said }) => {
    for (const { viewport, colorScheme } of on) {
      await page.setViewportSize(viewport)
      await page.emulateMedia({ colorScheme })
      const { width } = viewport
      t.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, 'as wide as the screen')
      await judgeLines(t, page)
      if (report.sections.length > 0) await judgePlots(t, page, report)
      if (pictures !== undefined) {
        mkdirSync(pictures, { recursive: true })
        await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true })
      }
    }
    await judgeFigures(t, page, report)
    const pages = await pagesOf(page)
    t.ok(pages <= 2, `${pages} pages of paper`)
    t.strictSame(said, [], 'no console, no request')
  })
}
