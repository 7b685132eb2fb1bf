// HTML and script in packets, names and every field of a report stay text in a browser, and the page's policy forbids all else.

import { renameSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { type AnyReport, render, summarize } from '../../src/report/index.js'
import { encodePcap } from '../../src/testing.js'
import { noBrowser, withPage } from '../support/browser.js'
import { floodReport } from '../support/flood-report.js'
import { ipv4Frame } from '../support/generate.js'
import { strings, withString } from '../support/hostile.js'
import { replay, ringOf, scratch } from '../support/replay.js'

const skip = noBrowser
const hostile =
  '</title></style></svg>"\'><script>globalThis.hacked = 1</script><img src="https://example.org/x" onerror="hacked = 1">'

interface Global {
  hacked?: number
}

/** Nothing of it came to life. */
async function judgeText(t: Test, page: Page, said: string[]): Promise<void> {
  t.strictSame(said, [], 'no console, no request')
  t.equal(await page.evaluate(() => (globalThis as Global).hacked), undefined)
  t.equal(await page.locator('script, img, [onerror]').count(), 0)
}

/** The report with the text in each field that takes any, and which those were. */
function withHostile<T extends AnyReport>(plain: T): { report: T; places: string[] } {
  const places: string[] = []
  let report = plain
  for (const place of strings(plain)) {
    const changed = withString(report, place, hostile)
    try {
      render(changed)
    } catch {
      // A time, or one of a few words.
      continue
    }
    report = changed
    places.push(place.join('.'))
  }
  return { report, places }
}

test('in every field of a report', { skip }, async (t) => {
  const plain = await floodReport(t)
  const { report: all, places } = withHostile(plain)
  for (const name of ['id', 'reason', 'labels.customer', 'custody.host.hostname', 'attack.vector', 'file', 'filter']) {
    if (name !== 'filter') t.ok(places.includes(name), name)
  }
  const report: IncidentReport = { ...all, filter: hostile, labels: { ...all.labels, [hostile]: hostile } }
  await withPage(render(report), {}, async ({ page, said }) => {
    await judgeText(t, page, said)
    t.equal(await page.title(), `Incident ${hostile}`, 'it is there to be read')
    const text = (selector: string): Promise<string | null> => page.locator(selector).first().textContent()
    t.equal(await text('.reason'), hostile)
    t.equal(await text('[data-figure=vector]'), hostile)
    t.equal(await text('.labels dt:last-of-type'), hostile)
    t.equal(await text('.labels dd:last-of-type'), hostile)
    t.match(await text('#custody'), hostile)
    t.equal(await text('table[data-table=sources] th[scope=row]'), hostile)
  })
})

test('in payloads, reason, labels and the name of a file', { skip }, async (t) => {
  const directory = scratch(t)
  const packets = Array.from({ length: 2_000 }, (_, i) => {
    const data = ipv4Frame(17, 400)
    data.writeUInt16BE(366, 38)
    data.write(hostile, 42, 'latin1')
    return { time: Date.UTC(2026, 0, 1) + i, data }
  })
  const ring = ringOf(t, { file: encodePcap(packets), directory, format: 'pcapng' })
  ring.on('start', () => void ring.freeze({ reason: hostile, labels: { [hostile]: hostile } }))
  await replay(ring)
  const { file } = await (ring.incidents[0] as { resolve(): Promise<IncidentReport> }).resolve()
  const report = await summarize(file as string)
  t.equal(report.packets, packets.length)
  await withPage(render(report), {}, async ({ page, said }) => {
    await judgeText(t, page, said)
    t.equal(await page.locator('.reason').textContent(), hostile)
  })
  // Alone, under a name that is script itself; a slash there is none in names.
  const name = `${hostile.replaceAll('/', '').slice(0, 200)}.pcapng`
  renameSync(file as string, join(directory, name))
  await withPage(render(await summarize(join(directory, name))), {}, async ({ page, said }) => {
    await judgeText(t, page, said)
    t.match(await page.locator('#custody code').first().textContent(), name)
  })
})

/** What there is to be refused. */
const directives = [
  ...['base-uri', 'connect-src', 'font-src', 'form-action', 'frame-src', 'img-src', 'media-src', 'object-src'],
  ...['script-src', 'script-src-attr', 'script-src-elem', 'style-src-attr', 'style-src-elem', 'worker-src'],
]

/** Tries what a page can do to run or load something, the latter from a server; gives what the policy refused, once it is as much as wanted. */
const tryAll = (page: Page, server: string, directives: string[]): Promise<string[]> =>
  page.evaluate(
    async ({ server, directives }) => {
      const refused = new Set<string>()
      document.addEventListener('securitypolicyviolation', (event) => refused.add(event.effectiveDirective))
      const script = document.createElement('script')
      script.textContent = 'globalThis.hacked = 2'
      const loaded = document.createElement('script')
      loaded.src = `${server}script`
      const style = document.createElement('style')
      style.textContent = 'body { display: none }'
      document.body.append(script, loaded, style)
      document.body.insertAdjacentHTML(
        'beforeend',
        `<img src="${server}img"><p style="color: red" onclick="hacked = 3" id="clicked">x</p>
      <iframe src="${server}frame"></iframe><audio src="${server}audio"></audio><object data="${server}object"></object>
      <link rel="stylesheet" href="${server}style"><iframe name="there"></iframe>
      <form action="${server}form" target="there" id="form"></form>`,
      )
      document.getElementById('clicked')?.click()
      ;(document.getElementById('form') as HTMLFormElement).submit()
      for (const attempt of [
        () => fetch(`${server}fetch`, { mode: 'no-cors' }),
        () => navigator.sendBeacon(`${server}beacon`),
        () => new FontFace('x', `url(${server}font)`).load(),
        () => new WebSocket(`${server.replace('http', 'ws')}socket`),
        () => new EventSource(`${server}events`),
        () => new Worker(URL.createObjectURL(new Blob(['']))),
      ]) {
        try {
          await attempt()
        } catch {
          // As it should be.
        }
      }
      // Not at once: what the test itself evaluates may.
      setTimeout(() => new Function('hacked = 4')())
      const base = document.createElement('base')
      base.href = server
      document.head.append(base)
      for (let tries = 0; tries < 1 || (tries < 50 && refused.size < directives.length); ++tries) {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      return [...refused].sort()
    },
    { server, directives },
  )

test('what is not there is forbidden', { skip }, async (t) => {
  const asked = new Set<string>()
  const server = createServer(({ url }, response) => {
    asked.add(url ?? '')
    response.end()
  })
  server.on('upgrade', ({ url }, socket) => {
    asked.add(url ?? '')
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const html = render(await floodReport(t))
  const hacked = (page: Page): Promise<number | undefined> => page.evaluate(() => (globalThis as Global).hacked)

  await withPage(html, {}, async ({ page }) => {
    t.strictSame(await tryAll(page, url, directives), directives)
    t.equal(await hacked(page), undefined)
    t.equal(await page.locator('body').isVisible(), true)
  })
  t.strictSame([...asked], [], 'nobody was asked for anything')

  await withPage(html.replace(/<meta http-equiv[^>]*>/, ''), {}, async ({ page }) => {
    t.strictSame(await tryAll(page, url, []), [])
    t.equal(await hacked(page), 4, 'without the policy it would be done')
  })
  t.ok(asked.has('/fetch') && asked.has('/socket') && asked.has('/font'), [...asked].join(' '))
})
