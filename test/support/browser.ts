/// <reference lib="dom" />

// Pages in headless Chromium: one browser for a test file, one page at a time.

import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { comment, teardown } from 'tap'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => existsSync(file))

/** Why there is no browser; false: there is one. For tap's `skip`. */
export const noBrowser: string | false = executablePath === undefined ? 'there is no chromium' : false

/** Chromium, and what becomes of it. */
interface Running {
  browser: Browser
  /** The newest of its standard error. */
  said: string[]
  ended: Promise<string>
  stop(): Promise<void>
}
let running: Promise<Running> | undefined

/** As a server, since of that Playwright hands out the process. */
async function launch(): Promise<Running> {
  const server = await chromium.launchServer({
    executablePath: executablePath as string,
    // Its sandbox does not run as root; what is opened is our own.
    chromiumSandbox: process.getuid?.() !== 0,
    // A sanitizer's runtime is for our own process.
    env: { ...process.env, LD_PRELOAD: undefined },
    // Containers have a small /dev/shm, and no GPU.
    args: ['--disable-dev-shm-usage', '--disable-gpu'],
  })
  const child = server.process()
  const said: string[] = []
  child.stderr?.on('data', (text: Buffer) => {
    said.push(...text.toString().split('\n').filter(Boolean))
    said.splice(0, said.length - 100)
  })
  const ended = once(child, 'exit').then(([code, signal]) => `it ended with ${signal ?? code}`)
  return { browser: await chromium.connect(server.wsEndpoint()), said, ended, stop: () => server.close() }
}

teardown(() =>
  running?.then(
    ({ stop }) => stop(),
    // That it did not start is told by whoever wanted it.
    () => {},
  ),
)

interface Opened {
  page: Page
  /** What it said on the console, and what it asked for besides itself. */
  said: string[]
}

class Died extends Error {
  readonly chromiumSaid: string[]

  constructor(why: string, cause: unknown, chromiumSaid: string[]) {
    super(why, { cause })
    this.chromiumSaid = chromiumSaid
  }
}

type Use<T> = (opened: Opened) => Promise<T>

/**
 * Opens a page as it comes out of a file, for as long as `use` takes. Where Chromium dies meanwhile it is tried once more with a new one,
 * as it is the page that is judged: one that it dies of does so again. Then the error tells what it said.
 */
export async function withPage<T>(html: string, options: BrowserContextOptions, use: Use<T>): Promise<T> {
  try {
    return await tried(html, options, use)
  } catch (error) {
    if (!(error instanceof Died)) throw error
    comment(`once more: ${error.message}`, error.chromiumSaid)
    await (await running)?.stop().catch(() => {})
    running = undefined
    return tried(html, options, use)
  }
}

async function tried<T>(html: string, options: BrowserContextOptions, use: Use<T>): Promise<T> {
  running ??= launch()
  const { browser, said, ended } = await running
  const dir = mkdtempSync(join(tmpdir(), 'pcap-ring-page-'))
  const file = join(dir, 'page.html')
  writeFileSync(file, html)
  let context: BrowserContext | undefined
  let crashed = false
  try {
    context = await browser.newContext({ viewport: { width: 1_100, height: 900 }, ...options })
    // Functions that are handed over as text call it, which the compiler of the tests puts into them.
    await context.addInitScript('globalThis.__name = (fn) => fn')
    const page = await context.newPage()
    page.on('crash', () => {
      crashed = true
    })
    const opened: Opened = { page, said: [] }
    const url = pathToFileURL(file).href
    page.on('console', (message) => opened.said.push(`console: ${message.text()}`))
    page.on('pageerror', (error) => opened.said.push(`error: ${error.message}`))
    page.on('request', (request) => {
      if (request.url() !== url) opened.said.push(`request: ${request.url()}`)
    })
    await page.goto(url)
    return await use(opened)
  } catch (error) {
    // The error may be here before the end that it is of.
    const end = await Promise.race([ended, setTimeout(1_000, null)])
    if (!crashed && end === null) throw error
    const why = end === null ? 'the process of the page died' : `Chromium died: ${end}`
    throw new Died(why, error, said)
  } finally {
    await context?.close().catch(() => {})
    rmSync(dir, { recursive: true, force: true })
  }
}
