// What `npm run demo` runs once everything is built: the library's main job on real packets. It sends UDP to itself over
// loopback, a calm stretch and then a burst; sees the burst, later than the ring of 500 packets reaches back; freezes;
// resolves; and checks the file by reading it back. Everything is at its default.
// Without the permission to capture it does the same over a recording that it makes.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { PcapRing } = require('../../lib')
const { card } = require('../../lib/cli/card')
const { count, printable, rate } = require('../../lib/figures')
const { encodePcap } = require('../../lib/testing')
const { burstPps, calmPps, recordedPackets, Sender } = require('./traffic.cjs')
const { verify } = require('./verify.cjs')

/** Inbound packets per second at or above which the demo calls it an attack. */
const thresholdPps = 1_200
/** Intervals below the threshold after which it is over. */
const calmIntervals = 4

const color = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (code, text) => (color ? `\x1b[${code}m${text}\x1b[0m` : text)
const say = (text = '') => console.log(text)
const step = (title) => say(`\n${paint('1;36', '▸')} ${paint(1, title)}`)
const note = (text) => say(`  ${text}`)

let exitCode = 0
let lossy = false
function fail(text) {
  exitCode = 1
  note(paint(31, `✗ ${text}`))
}

/** demo-captures/ of this repository, or of the system's temporary directory where we may not write. */
function demoDirectory() {
  const own = path.resolve(__dirname, '../../demo-captures')
  try {
    fs.mkdirSync(own, { recursive: true, mode: 0o700 })
    fs.accessSync(own, fs.constants.W_OK | fs.constants.X_OK)
    return own
  } catch {
    return fs.mkdtempSync(path.join(os.tmpdir(), 'demo-captures-'))
  }
}

/** Freezes when inbound traffic reaches the threshold, resolves when it has been below for a while. Once. */
function watchForBurst(ring, sentNow) {
  return new Promise((resolve, reject) => {
    let incident = null
    let calmFor = 0
    ring.on('stats', ({ inbound, time }) => {
      if (incident === null) {
        if (inbound.pps < thresholdPps) return
        const sent = sentNow(time)
        incident = ring.freeze({
          reason: `inbound ${rate(inbound.pps, 'pps')} (threshold ${rate(thresholdPps, 'pps')})`,
          labels: { from: 'npm run demo' },
        })
        incident.finished.then((report) => resolve({ report, sentAtFreeze: sent }), reject)
        note(
          `${rate(inbound.pps, 'pps')} inbound, ${rate(thresholdPps, 'pps')} or more is an attack: ` +
            `${paint(33, `freeze() → incident ${incident.id}`)}`,
        )
        return
      }
      calmFor = inbound.pps < thresholdPps ? calmFor + 1 : 0
      if (calmFor !== calmIntervals || incident.state === 'resolved') return
      note(`below it again for ${calmIntervals} intervals: ${paint(33, 'resolve()')}`)
      incident.resolve().catch(() => {})
    })
    ring.on('onset', ({ at, pps }) =>
      note(`a rise to ${rate(pps, 'pps')}: its beginning at ${at} is kept, whatever comes`),
    )
    ring.once('end', () => incident === null && reject(new Error('the burst in the recording was not noticed')))
    ring.once('error', reject)
    ring.once('close', () => incident === null && reject(new Error('the ring was closed before the burst')))
  })
}

function sayRing({ inbound, ring }) {
  const span = ring.packets > 0 ? `, the last ${(ring.span / 1_000).toFixed(1)} s` : ''
  note(`${rate(inbound.pps, 'pps')} inbound; in the ring: ${count(ring.packets)} packets${span}`)
}

async function live(ring, sender) {
  step(`Capturing on loopback, UDP port ${sender.port}, inbound`)
  note('A native thread keeps the newest 500 packets in memory; nothing is written yet.')
  const found = watchForBurst(ring, () => sender.sent)
  // Judged below; until then it must not count as unhandled.
  found.catch(() => {})

  step(`Calm: ${count(calmPps)} datagrams a second, sent to ourselves`)
  sender.pace('calm', calmPps)
  for (let i = 0; i < 4; i++) {
    await sleep(500)
    if (ring.mode === 'capture') sayRing(ring.stats())
  }
  step(`Burst: ${count(burstPps)} a second`)
  sender.pace('burst', burstPps)
  await sleep(1_200)
  step('Calm again')
  sender.pace('calm', calmPps)
  const timeout = sleep(5_000, undefined, { ref: false }).then(() => {
    if (sender.error) throw new Error(`sending failed: ${sender.error.message}`)
    throw new Error('the burst was not noticed, or its file was not completed, within 5 s')
  })
  return Promise.race([found, timeout])
}

async function replayed(directory) {
  step('The same over a recording: 2 s calm, 1.2 s burst, 1.5 s calm')
  note('Replayed in lock step: packet time, as fast as the machine goes, the same file on every run.')
  const stretches = [
    { phase: 'calm', pps: calmPps, seconds: 2 },
    { phase: 'burst', pps: burstPps, seconds: 1.2 },
    { phase: 'calm', pps: calmPps, seconds: 1.5 },
  ]
  const packets = recordedPackets(Date.UTC(2026, 0, 1), stretches)
  const ring = openRing({ directory, file: encodePcap(packets) })
  ring.on('warning', (error) => note(printable(error.message)))
  // Packet time: what was sent by then is what the recording holds up to then.
  const sentNow = (time) => packets.findIndex((packet) => packet.time >= Date.parse(time))
  const found = watchForBurst(ring, sentNow)
  found.catch(() => {})
  await ring.start()
  try {
    return await found
  } finally {
    await ring.close()
  }
}

async function statisticsOnly(ring, sender) {
  step('Statistics-only mode: the figures of the operating system for loopback, no packets')
  sender.pace('calm', calmPps)
  const incident = ring.freeze({ reason: 'to show what is left without the permission' })
  for (let i = 0; i < 3; i++) {
    await sleep(400)
    const { inbound } = ring.stats()
    note(`${rate(inbound.pps, 'pps')}, ${rate(inbound.bps, 'bps')} inbound`)
  }
  const { packets } = (await incident.resolve()).statistics
  note(`An incident is a report without a file then: ${count(packets)} packets counted.`)
}

async function show({ report, sentAtFreeze }) {
  say()
  process.stdout.write(card(report, { color, width: process.stdout.columns || 80 }))
  if (report.error !== null) fail(`the incident ended with ${report.error}`)
  step('Reading the file back')
  for (const { good, text } of await verify(report, sentAtFreeze)) {
    if (good === true) note(`${paint(32, '✓')} ${text}`)
    else if (good === false) fail(text)
    else {
      lossy = true
      note(paint(33, `! ${text}`))
    }
  }
  step('Look for yourself')
  const near = path.relative(process.cwd(), report.file)
  const shown = near.startsWith('..') ? report.file : near
  const file = /^[\w./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`
  const pre = report.sections.find(({ name }) => name === 'pre-buffer').lastFrame
  note(`tcpdump -nn -A -r ${file} | less`)
  note(`tshark -r ${file} -Y 'frame.number >= ${pre - 4} && frame.number <= ${pre + 5}'    # where the burst begins`)
  note(`wireshark ${file}`)
  note(`node ${path.relative(process.cwd(), path.resolve(__dirname, '../../lib/cli/main.js'))} report ${file}`)
}

let current = null

function openRing(options) {
  current = new PcapRing(options)
  return current
}

/** Ctrl-C completes the file that is open. */
async function interrupt(code) {
  current?.on('resolve', (_incident, { file }) => file !== null && note(`interrupted; ${file} is complete`))
  await current?.close()
  process.exit(code)
}

async function main() {
  process.once('SIGINT', () => interrupt(130))
  process.once('SIGTERM', () => interrupt(143))
  say('pcap-ring keeps the newest packets in memory. When an attack begins, they become the first section of')
  say('its capture file: evidence from before the attack. This shows it, in some seconds, on packets of its own.')
  const directory = demoDirectory()
  const result = (await onLoopback(directory)) ?? (await replayed(directory))
  await show(result)
  say(
    exitCode !== 0
      ? paint(31, '\nNot all of it holds.')
      : paint(32, `\nAll of it holds${lossy ? ', with the loss as reported' : ''}.`),
  )
}

/** null: no packets to be had here. */
async function onLoopback(directory) {
  let sender = null
  try {
    sender = await Sender.open()
  } catch (error) {
    step('No loopback here')
    note(printable(error.message))
    return null
  }
  const ring = openRing({
    directory,
    device: 'lo',
    filter: `udp dst port ${sender.port}`,
    // Loopback shows each packet twice, going out and coming in.
    direction: 'in',
  })
  ring.on('warning', (error) => {
    step('A warning')
    note(printable(error.message))
  })
  try {
    if (!(await canStart(ring))) return null
    if (ring.mode === 'capture') return await live(ring, sender)
    await statisticsOnly(ring, sender)
    return null
  } finally {
    sender.stop()
    await ring.close()
  }
}

/** Without a loopback device, as in some sandboxes, the recording shows the rest. */
async function canStart(ring) {
  try {
    await ring.start()
    return true
  } catch (error) {
    if (!['ERR_PCAP_NO_SUCH_DEVICE', 'ERR_PCAP_DEVICE_DOWN'].includes(error.code)) throw error
    step('No capture here')
    note(printable(error.message))
    return false
  }
}

main()
  .catch((error) => fail(error.code ? `${error.code}: ${error.message}` : error.message))
  .finally(() => {
    process.exitCode = exitCode
  })
