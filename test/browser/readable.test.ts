// The page for everybody: axe-core, the keyboard alone, without colour, on paper.

import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { render } from '../../src/report/index.js'
import { noBrowser, withPage } from '../support/browser.js'
import { floodReport } from '../support/flood-report.js'
import { pagesOf, screens } from '../support/page.js'
import { pictureOf } from '../support/png.js'
import { exampleRecording } from '../support/report.js'

const skip = noBrowser

interface Axe {
  run(options: object): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>
}
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

test('axe finds nothing', { skip }, async (t) => {
  for (const report of [await floodReport(t), exampleRecording()]) {
    await withPage(render(report), {}, async ({ page }) => {
      for (const details of await page.locator('summary').all()) await details.click()
      await page.evaluate(axeSource)
      for (const { viewport, colorScheme } of screens) {
        await page.setViewportSize(viewport)
        await page.emulateMedia({ colorScheme })
        const violations = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as { axe: Axe }
          const found = await axe.run({ resultTypes: ['violations'] })
          return found.violations.map(
            ({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html).join(' ')}`,
          )
        })
        t.strictSame(violations, [], `${report.kind}, ${viewport.width}, ${colorScheme}`)
      }
    })
  }
})

test('the keyboard alone reaches everything, in order', { skip }, async (t) => {
  const options = { viewport: { width: 390, height: 700 } }
  await withPage(render(await floodReport(t)), options, async ({ page }) => {
    // All that does something, and all that does not show all of itself.
    const wanted = await page.locator('*').evaluateAll((all) => {
      const scrolls = (one: Element): boolean =>
        one.scrollWidth > one.clientWidth && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)
      return all
        .filter((one) => one.matches('a, button, input, select, textarea, summary, [tabindex]') || scrolls(one))
        .map((one) => one.outerHTML.slice(0, 80))
    })
    t.ok(wanted.length >= 7, `${wanted.length} of them`)
    const reached: string[] = []
    for (;;) {
      await page.keyboard.press('Tab')
      const { html, outline } = await page.evaluate(() => {
        const focused = document.activeElement ?? document.body
        return { html: focused.outerHTML.slice(0, 80), outline: getComputedStyle(focused).outlineStyle }
      })
      if (html.startsWith('<body') || reached.length > wanted.length) break
      reached.push(html)
      t.equal(outline, 'solid', 'it is seen where one is')
      if (html.startsWith('<summary')) {
        const there = page.locator('summary:focus + table')
        t.equal(await there.isVisible(), false)
        await page.keyboard.press('Enter')
        t.equal(await there.isVisible(), true, 'the plot as a table')
      }
    }
    t.strictSame(reached, wanted)

    for (const link of await page.locator('nav a').all()) {
      await link.focus()
      await page.keyboard.press('Enter')
      const target = page.locator((await link.getAttribute('href')) as string)
      const top = await target.evaluate((one) => one.getBoundingClientRect().top)
      t.ok(top >= -1 && top < 700, `${await link.textContent()}: in sight`)
    }
    await page.locator('.scroll').focus()
    await page.keyboard.press('ArrowRight')
    await page.waitForFunction(() => (document.querySelector('.scroll')?.scrollLeft ?? 0) > 0)
  })
})

/** How many of the legend's marks look like no other of them. */
async function looks(page: Page): Promise<number> {
  const swatches = await page.locator('.course .legend .swatch').all()
  const seen = await Promise.all(swatches.map(async (one) => (await one.screenshot()).toString('base64')))
  return new Set(seen).size
}

test('without colour it still reads', { skip }, async (t) => {
  await withPage(render(await floodReport(t)), {}, async ({ page }) => {
    t.strictSame(await page.locator('#composition .legend b').allTextContents(), ['PRE', 'ONSET', 'ATTACK', 'END'])
    t.match(await page.locator('.verdict').textContent(), /severity: high/, 'in words')
    const names = ['PRE', 'ONSET', 'ATTACK', 'COUNTED', 'END']
    t.strictSame(await page.locator('.course .legend b').allTextContents(), names)
    const all = names.length + 1

    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, forcedColors: 'active' })
      t.equal(await looks(page), all, `${colorScheme}, high contrast: each differs by its pattern`)
      const { ink, paper } = await page.evaluate(() => {
        const { color, backgroundColor } = getComputedStyle(document.body)
        return { ink: color, paper: backgroundColor }
      })
      t.not(ink, paper)
      t.equal(
        await page
          .locator('.mark')
          .first()
          .evaluate((one) => getComputedStyle(one).stroke),
        ink,
      )
    }
    await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none' })
    // No colour but one: what then tells the parts apart is no colour.
    await page.evaluate(() => {
      for (const part of ['pre', 'onset', 'attack', 'end', 'soft']) {
        document.documentElement.style.setProperty(`--${part}`, '#666')
      }
    })
    t.equal(await looks(page), all, 'in one grey')
    const bar = pictureOf(await page.locator('.bar').screenshot())
    const boxes = await page.locator('.bar rect').evaluateAll((rects) =>
      (rects as SVGElement[]).map((rect) => {
        const { left, width } = rect.getBoundingClientRect()
        return { left: left - (rect.ownerSVGElement as SVGElement).getBoundingClientRect().left, width }
      }),
    )
    // Of a part without a pattern all is grey; above and below corners are round.
    const plain = boxes.map((box) => {
      const { found, of } = bar.count('rgb(102, 102, 102)', { ...box, top: 6, height: 6 })
      return found === of
    })
    t.strictSame(plain, [false, false, true, false], 'but one part of the bar has a pattern')
  })
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
  await withPage(render(full), {}, async ({ page }) => t.equal(await pagesOf(page), 2))
})
