// The demo's traffic: numbered datagrams, sent over loopback or written into a recording.
'use strict'

const dgram = require('node:dgram')

const calmPps = 300
const burstPps = 6_000

/** Readable in tcpdump -A and in Wireshark's byte pane, and all of one size. */
function datagram(phase, number) {
  return Buffer.from(`pcap-ring demo ${phase.padEnd(5)} #${String(number).padStart(6, '0')}`.padEnd(100, '.'))
}

/** { phase, number } of a packet's bytes; null when it is none of ours. */
function identify(data) {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1')
  const match = /pcap-ring demo (calm|burst) +#(\d{6})/.exec(text)
  return match && { phase: match[1], number: Number(match[2]) }
}

/** Sends to itself on 127.0.0.1 at the pace last set; `stop()` ends it. */
class Sender {
  /** Datagrams that the kernel has taken; the next one's number. */
  sent = 0
  error = null
  #phase = 'calm'
  #pps = 0
  #due = 0
  #last = 0
  #timer = null

  static async open() {
    const sender = new Sender()
    // Somebody has to listen, else the kernel would answer each datagram with an ICMP error.
    sender.receiver = dgram.createSocket('udp4')
    await new Promise((resolve, reject) => {
      sender.receiver.once('error', reject)
      sender.receiver.bind(0, '127.0.0.1', resolve)
    })
    sender.port = sender.receiver.address().port
    // Connected: a datagram then leaves within send(), not in a later turn.
    sender.socket = dgram.createSocket('udp4')
    await new Promise((resolve, reject) => {
      sender.socket.connect(sender.port, '127.0.0.1', (error) => (error ? reject(error) : resolve()))
    }).catch((error) => {
      sender.stop()
      throw error
    })
    sender.socket.on('error', (error) => {
      sender.error = error
    })
    return sender
  }

  pace(phase, pps) {
    this.#phase = phase
    this.#pps = pps
    this.#due = 0
    this.#last = performance.now()
    this.#timer ??= setInterval(() => this.#tick(), 4)
  }

  stop() {
    clearInterval(this.#timer)
    this.socket.close()
    this.receiver.close()
  }

  #tick() {
    const now = performance.now()
    // What a busy machine made us miss is not caught up with: a calm stretch must not look like a burst.
    this.#due += (Math.min(now - this.#last, 20) * this.#pps) / 1_000
    this.#last = now
    for (; this.#due >= 1 && this.error === null; this.#due -= 1) {
      this.socket.send(datagram(this.#phase, this.sent))
      this.sent += 1
    }
  }
}

/** The same as packets for encodePcap: Ethernet, IPv4, UDP. */
function recordedPackets(start, stretches) {
  const packets = []
  let time = start
  for (const { phase, pps, seconds } of stretches) {
    for (let i = 0; i < pps * seconds; i++) {
      packets.push({ time: time + Math.floor((i * 1_000_000) / pps) / 1_000, data: frame(phase, packets.length) })
    }
    time += seconds * 1_000
  }
  return packets
}

function frame(phase, number) {
  const payload = datagram(phase, number)
  const header = Buffer.alloc(42)
  header.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00])
  header[14] = 0x45
  header.writeUInt16BE(28 + payload.length, 16)
  header[22] = 64
  header[23] = 17
  // Addresses and ports that are set aside for documentation and for being thrown away.
  header.set([192, 0, 2, 1, 192, 0, 2, 2], 26)
  let sum = 0
  for (let at = 14; at < 34; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  header.writeUInt16BE(~sum & 0xffff, 24)
  header.writeUInt16BE(40_000, 34)
  header.writeUInt16BE(9, 36)
  header.writeUInt16BE(8 + payload.length, 38)
  return Buffer.concat([header, payload])
}

module.exports = { burstPps, calmPps, identify, recordedPackets, Sender }
