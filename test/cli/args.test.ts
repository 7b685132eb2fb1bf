import { test } from 'tap'

import { parseCommandLine, UsageError } from '../../src/cli/args.js'

const parse = (line: string): unknown => parseCommandLine(line.split(' '))
const record = { directory: undefined, filter: undefined, format: 'pcap', archive: undefined, json: false }

test('every command with everything', (t) => {
  t.strictSame(
    parseCommandLine([
      'watch',
      'eth0',
      '--pps',
      '50k',
      '--bps=1.5G',
      '--dir',
      'd',
      '--filter',
      'udp port 53',
      '--format',
      'pcap',
      '--keep',
      '7d',
      '--json',
    ]),
    {
      command: 'watch',
      device: 'eth0',
      keep: 7 * 86_400_000,
      directory: 'd',
      filter: 'udp port 53',
      format: 'pcap',
      archive: undefined,
      json: true,
      pps: 50_000,
      bps: 1.5e9,
      baseline: null,
    },
  )
  t.strictSame(parse('replay x.pcap --pace recorded --pps 5 --keep 1h'), {
    command: 'replay',
    file: 'x.pcap',
    pace: 'recorded',
    keep: 3_600_000,
    ...record,
    pps: 5,
    bps: undefined,
    baseline: null,
  })
  t.strictSame(parse('capture eth0 --duration 2m --packets 7'), {
    command: 'capture',
    device: 'eth0',
    ...record,
    duration: 120_000,
    packets: 7,
  })
  for (const format of ['pcap', 'pcapng'] as const) {
    t.match(parse(`watch eth0 --pps 5 --format ${format}`), { format })
    t.match(parse(`replay x.pcap --pps 5 --format ${format}`), { format })
    t.match(parse(`capture --format ${format}`), { format })
  }
  t.strictSame(parse('report x.pcap --json'), {
    command: 'report',
    file: 'x.pcap',
    html: undefined,
    json: true,
  })
  t.match(parse('report x.pcap --html x.html'), { file: 'x.pcap', html: 'x.html', json: false })
  t.strictSame(parse('devices --json'), { command: 'devices', json: true })
  t.strictSame(parse('doctor eth0 --dir d --json'), { command: 'doctor', device: 'eth0', directory: 'd', json: true })
  t.strictSame(parse('doctor'), { command: 'doctor', device: undefined, directory: 'captures', json: false })
  t.end()
})

test('defaults', (t) => {
  t.strictSame(parse('watch --pps 5'), {
    command: 'watch',
    device: undefined,
    keep: undefined,
    ...record,
    pps: 5,
    bps: undefined,
    baseline: null,
  })
  t.strictSame(parse('replay x --bps 5'), {
    command: 'replay',
    file: 'x',
    pace: 'lockstep',
    keep: undefined,
    ...record,
    pps: undefined,
    bps: 5,
    baseline: null,
  })
  t.match(parse('watch'), { pps: undefined, bps: undefined, baseline: 300_000 })
  t.match(parse('watch --pps 5 --baseline 1h'), { pps: 5, baseline: 3_600_000 })
  t.match(parse('replay x --baseline 10m'), { pps: undefined, baseline: 600_000 })
  t.strictSame(parse('capture'), {
    command: 'capture',
    device: undefined,
    ...record,
    duration: 30_000,
    packets: 10_000,
  })
  t.end()
})

test('the last of several counts, options stand anywhere, -- ends them, a number of ms is a duration', (t) => {
  t.match(parse('watch --pps 5 eth0 --pps 6'), { device: 'eth0', pps: 6 })
  t.match(parse('report -- --json'), { file: '--json', json: false })
  t.match(parse('capture --duration 500'), { duration: 500 })
  t.match(parse('capture --duration=250ms'), { duration: 250 })
  t.end()
})

test('wrong usage is one line that says what to write', (t) => {
  const wrong: [string[], RegExp][] = [
    [[], /name a command: watch, replay, capture, report, devices, doctor, archive; or pcap-ring --help/],
    [['wach'], /"wach" is no command; write one of: watch, /],
    [['constructor'], /no command/],
    [['--frobnicate'], /no command/],
    [['watch', '--baseline', '5s'], /--baseline must be 10s to 1d, not "5s"; write --baseline 5m/],
    [['watch', '--baseline', 'long'], /--baseline must be a duration above 0, not "long"/],
    [['watch', 'a', 'b', '--pps', '1'], /"b" is one argument too many; write pcap-ring watch DEVICE/],
    [['devices', 'eth0'], /one argument too many; write pcap-ring devices/],
    [['replay', '--pps', '1'], /name a file; write pcap-ring replay FILE/],
    [['report'], /name a file; write pcap-ring report FILE/],
    [['report', ''], /the FILE is empty/],
    [['watch', '--pps'], /--pps needs a value; write --pps N/],
    [['watch', '--pps', '--json'], /--pps needs a value; write --pps N/],
    [['watch', '--pps='], /--pps needs a value/],
    [['watch', '--pps', 'many'], /--pps must be a number from 1 to 1000G, not "many"; write --pps 50000 or 50k/],
    [['watch', '--pps', '0'], /write --pps 50000 or 50k/],
    [['watch', '--bps=-5'], /write --bps 1000000000 or 1G/],
    [['watch', '--bps', '1e9'], /write --bps 1000000000 or 1G/],
    [['watch', '--pps', '1', '--json=yes'], /--json takes no value; write --json/],
    [['capture', '--keep', '7d'], /capture has no option "--keep"; write one of: --duration/],
    [['watch', '--pps', '1', '--keep', '7'], /--keep must be a second or more, not "7"; write --keep 7d/],
    [['watch', '--pps', '1', '--keep', 'long'], /--keep must be a duration above 0, not "long"/],
    [['watch', '--pps', '1', '-x'], /no option "-x"/],
    [['watch', '--pps', '1', '--toString'], /no option "--toString"/],
    [['report', 'x', '--pdf', 'y'], /report has no option "--pdf"; write one of: --html, --json/],
    [['report', 'x', '--html'], /--html needs a value; write --html OUT.html/],
    [['watch', '--pps', '1', '--format', 'erf'], /--format cannot be "erf"; write --format pcap or --format pcapng/],
    [['replay', 'x', '--pps', '1', '--pace', 'slow'], /--pace cannot be "slow"; write --pace recorded/],
    [
      ['capture', '--duration', '30'.concat(' s')],
      /--duration must be a duration above 0, not "30 s"; write --duration 250ms/,
    ],
    [['capture', '--duration', '0s'], /--duration must be/],
    [['capture', '--packets', '0'], /--packets must be a whole number from 1, not "0"; write --packets 10000/],
    [['capture', '--packets', '1.5'], /--packets must be/],
    [['archive'], /write pcap-ring archive list, sign, get, copy, verify, sweep/],
    [['archive', 'lst'], /archive needs to know what to do/],
    [['archive', 'get', 'a'], /name a file; write pcap-ring archive get ID FILE/],
    [['archive', 'get'], /name a capture; write pcap-ring archive get ID FILE/],
    [['archive', 'copy', 'a'], /name a directory; write pcap-ring archive copy ID DIR/],
    [['archive', 'sign', 'a'], /write --base-url https/],
    [['archive', 'list', 'a'], /one argument too many/],
    [['archive', 'sign', 'a', '--base-url', 'http://x', '--expires', 'soon'], /--expires must be a duration/],
    [
      ['archive', 'sign', 'a', '--base-url', 'http://x', '--expires', '8d'],
      /--expires must be 1s to 7d, not "8d"; write --expires 15m/,
    ],
    [['archive', 'sign', 'a', '--base-url', 'x'], /--base-url cannot be "x"; write --base-url https:/],
    [['archive', 'get', '../a', 'f'], /"..\/a" is no capture's id; write one that pcap-ring archive list shows/],
    [
      ['archive', 'copy', 'a', 'd', '--retention', '1h'],
      /--retention must be 1d to 365d, not "1h"; write --retention 7d/,
    ],
    [['watch', '--archive', 'a', '--retention', '366d'], /--retention must be 1d to 365d/],
    [['watch', 'any'], /"any" is no one device; write the name of one/],
    [['capture', 'any'], /"any" is no one device/],
    [['help', 'wach'], /"wach" is no command; write pcap-ring help and one of: watch/],
    [['watch', '--pps', '1', '--keys', 'f'], /--keys is for an archive; write --archive DIR, too/],
    [['bad\nname'], /"bad\\nname" is no command/],
  ]
  for (const [argv, message] of wrong) {
    t.throws(() => parseCommandLine(argv), { name: 'UsageError', message }, argv.join(' '))
    try {
      parseCommandLine(argv)
    } catch (error) {
      t.ok(error instanceof UsageError)
      t.notMatch((error as Error).message, '\n')
    }
  }
  t.end()
})

test('help and version', (t) => {
  t.strictSame(parse('--version'), { command: 'version' })
  for (const line of ['--help', '-h', 'help']) {
    t.match(parse(line), {
      command: 'help',
      text: /^Usage: pcap-ring COMMAND[\s\S]*watch \[DEVICE\][\s\S]*replay FILE[\s\S]*devices/,
    })
  }
  for (const name of ['watch', 'replay', 'capture', 'report', 'devices', 'archive list', 'archive sign']) {
    for (const line of [`${name} --help`, `${name} -h`, `help ${name}`]) {
      t.match(parse(line), { command: 'help', text: new RegExp(`^Usage: pcap-ring ${name}.*\\[options\\]`) }, line)
    }
  }
  t.match(parse('watch --help'), { text: /--pps N .*inbound/ })
  const { text } = parseCommandLine(['--help']) as { text: string }
  t.ok(text.endsWith('.\n'))
  t.end()
})
