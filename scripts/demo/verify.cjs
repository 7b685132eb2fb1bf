// Reads an incident's file back and compares it with its report and with what was sent.
'use strict'

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const { isDeepStrictEqual } = require('node:util')
const { readPackets } = require('../../lib/testing')
const { count } = require('../../lib/figures')
const { identify } = require('./traffic.cjs')

const order = ['history', 'pre-buffer', 'onset', 'attack', 'resolution']

/**
 * @param report of the finished incident
 * @param sentAtFreeze how many datagrams had been sent when freeze() was called: the number of the first one after it
 * @returns {Promise<{ good: boolean | null, text: string }[]>} null: not as it should be, and honestly accounted for
 */
async function verify(report, sentAtFreeze) {
  const results = []
  const check = (good, text) => results.push({ good, text })

  const bytes = fs.readFileSync(report.file)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  check(
    sha256 === report.sha256 && bytes.length === report.bytes,
    `the file's ${count(bytes.length)} bytes have the sha256 that the report names: ${sha256.slice(0, 16)}…`,
  )
  const json = JSON.parse(fs.readFileSync(report.file.replace(/\.pcap$/, '.json'), 'utf8'))
  check(isDeepStrictEqual(json, report), 'the JSON file beside it is this very report')

  const packets = []
  for await (const { time, data, length } of readPackets(report.file)) packets.push({ time, length, ...identify(data) })
  const lost = report.loss.kernel + report.loss.interface + report.loss.writer

  check(...judgeSections(report, packets))
  check(...judgeBoundary(report, packets, sentAtFreeze, lost))
  check(...judgeNumbers(packets, leftOut(report), lost))
  return results
}

/** Packets that the file leaves out on purpose, between the first of the burst and the newest before the freeze. */
function leftOut({ coverage }) {
  const gaps = coverage.gaps.filter(({ reason }) => reason === 'ring' || reason === 'sampling')
  return gaps.reduce((sum, { packets }) => sum + packets, 0)
}

function judgeSections({ sections, packets: total }, packets) {
  const names = sections.map(({ name }) => name)
  const inOrder = isDeepStrictEqual(
    names,
    order.filter((name) => names.includes(name)),
  )
  let frame = 1
  const agrees = ({ packets: counted, bytes, from, to, firstFrame, lastFrame }) => {
    const own = packets.slice(firstFrame - 1, lastFrame)
    const times = own.map(({ time }) => time).sort()
    const good =
      firstFrame === frame &&
      own.length === counted &&
      lastFrame - firstFrame + 1 === counted &&
      bytes === own.reduce((sum, { length }) => sum + length, 0) &&
      from === times[0] &&
      to === times.at(-1)
    frame = lastFrame + 1
    return good
  }
  const good = inOrder && packets.length === total && sections.every(agrees) && frame === total + 1
  const list = sections.map(({ name, packets: counted }) => `${name} ${count(counted)}`).join(', ')
  return [good, `${count(packets.length)} packets were read back; sections agree in order and counts: ${list}`]
}

/** The freeze cuts between the last datagram before the call and the first one after it. */
function judgeBoundary({ sections, frozenAt }, packets, sentAtFreeze, lost) {
  const of = (name) => {
    const section = sections.find((one) => one.name === name)
    return section ? packets.slice(section.firstFrame - 1, section.lastFrame) : []
  }
  const calmOnes = of('pre-buffer')
  const before = [...calmOnes, ...of('onset')]
  const after = of('attack')
  if (before.length === 0 || after.length === 0) return [false, 'nothing stands on one side of the freeze']
  const last = Math.max(...before.map(({ number }) => number))
  const first = Math.min(...after.map(({ number }) => number))
  const good =
    last < sentAtFreeze &&
    first >= sentAtFreeze &&
    (lost > 0 || first === last + 1) &&
    before.every(({ time }) => time <= frozenAt) &&
    after[0].time >= frozenAt
  const calm = calmOnes.filter(({ phase }) => phase === 'calm').length
  const text =
    `freeze() was called between #${last} and #${first}, with which the attack section begins; of the pre-buffer, ` +
    `${count(calm)} of ${count(calmOnes.length)} packets are from before the burst`
  return [good && calm > 0, text]
}

/** No duplicate, and no hole but those that the report tells of. */
function judgeNumbers(packets, omitted, lost) {
  const strangers = packets.filter(({ number }) => number === undefined).length
  if (strangers > 0) return [false, `${count(strangers)} packets in the file were never sent`]
  const numbers = packets.map(({ number }) => number)
  const sorted = Float64Array.from(numbers).sort()
  const different = new Set(numbers).size
  const missing = sorted.at(-1) - sorted[0] + 1 - different
  const range = `#${sorted[0]} to #${sorted.at(-1)}`
  const twice = packets.length - different
  if (twice > 0) return [false, `${count(twice)} of the numbers ${range} are there twice`]
  // Two processors may hand packets over in another order than they were sent in; the file keeps the kernel's.
  const back = numbers.filter((number, i) => i > 0 && number < numbers[i - 1]).length
  const orderly = back > 0 ? `; ${count(back)} times in another order, as the kernel delivered them` : ''
  const but = omitted > 0 ? `, but for ${count(omitted)} within the burst that the report tells of` : ''
  if (missing === omitted) return [true, `every number ${range} is there, none twice${but}${orderly}`]
  if (missing > omitted && missing <= omitted + lost) {
    const text = `${count(missing)} of the numbers ${range} are missing, and the report says so: ${count(lost)} lost${but}`
    return [null, `${text}. The machine was too busy for the kernel's buffer${orderly}`]
  }
  return [false, `${count(missing)} of the numbers ${range} are missing; the report knows of ${count(omitted + lost)}`]
}

module.exports = { verify }
