/// <reference lib="dom" />

// Pages in headless Chromium.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

interface Teardown {
  teardown(fn: () => unknown): void
}

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => existsSync(file))

/** Why there is no browser; false: there is one. For tap's `skip`. */
export const noBrowser: string | false = executablePath === undefined ? 'there is no chromium' : false

/** Closed with the test. */
export async function browserOf(t: Teardown): Promise<Browser> {
  // Its sandbox does not run as root; what is opened is our own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  const browser = await chromium.launch({ executablePath: executablePath as string, args })
  t.teardown(() => browser.close())
  return browser
}

export interface Opened {
  page: Page
  /** What it said on the console, and what it asked for besides itself. */
  said: string[]
}

/** A page as it comes out of a file. */
export async function open(
  t: Teardown,
  browser: Browser,
  html: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const dir = mkdtempSync(join(tmpdir(), 'pcap-ring-page-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const file = join(dir, 'page.html')
  writeFileSync(file, html)
  const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, ...options })
  const page = await context.newPage()
  const said: string[] = []
  const url = pathToFileURL(file).href
  page.on('console', (message) => said.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => said.push(`error: ${error.message}`))
  page.on('request', (request) => {
    if (request.url() !== url) said.push(`request: ${request.url()}`)
  })
  await page.goto(url)
  return { page, said }
}

/** Pixels of a picture by colour (`'rgb(1, 2, 3)'`), in all or in one row. */
export async function coloursOf(browser: Browser, png: Buffer, row?: number): Promise<Map<string, number>> {
  const page = await browser.newPage()
  try {
    const found = await page.evaluate(
      async ({ data, row }) => {
        const blob = await (await fetch(`data:image/png;base64,${data}`)).blob()
        const image = await createImageBitmap(blob)
        const canvas = new OffscreenCanvas(image.width, image.height)
        const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D
        context.drawImage(image, 0, 0)
        const [top, height] = row === undefined ? [0, image.height] : [row, 1]
        const bytes = context.getImageData(0, top, image.width, height).data
        const counts: Record<string, number> = {}
        for (let i = 0; i < bytes.length; i += 4) {
          const colour = `rgb(${bytes[i]}, ${bytes[i + 1]}, ${bytes[i + 2]})`
          counts[colour] = (counts[colour] ?? 0) + 1
        }
        return counts
      },
      { data: png.toString('base64'), row },
    )
    return new Map(Object.entries(found))
  } finally {
    await page.close()
  }
}
