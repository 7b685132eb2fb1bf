// Makes attack.pcap, in place of a capture of your own: two seconds at 100 packets a second, then one at 5,000.
'use strict'

const { writeFileSync } = require('node:fs')
const { encodePcap } = require('@flowtriq/pcap-ring/testing')

const start = Date.UTC(2026, 0, 5)
const data = Buffer.alloc(60)
const packets = []
for (let i = 0; i < 200; i++) packets.push({ time: start + i * 10, data })
for (let i = 0; i < 5_000; i++) packets.push({ time: start + 2_000 + i / 5, data })
writeFileSync('attack.pcap', encodePcap(packets))
