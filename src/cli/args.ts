import { parseArgs } from 'node:util'

import { parseDuration } from '../time.js'
import type { CaptureFormat } from '../types.js'
import { columns, wrapped } from './help.js'

/** Wrong usage: one line that says what to write instead. Exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface RecordArgs {
  directory: string | undefined
  filter: string | undefined
  format: CaptureFormat
  /** Where finished captures go, for how long (ms); undefined: nowhere. */
  archive: { place: string; keys: string | undefined; retention: number } | undefined
  json: boolean
}

interface WatchedArgs extends RecordArgs {
  /** Thresholds, inbound; undefined: none. */
  pps: number | undefined
  bps: number | undefined
  /** ms; null: thresholds alone. */
  baseline: number | null
  /** ms; undefined: for good. */
  keep: number | undefined
}

export interface WatchArgs extends WatchedArgs {
  command: 'watch'
  device: string | undefined
}

export interface ReplayArgs extends WatchedArgs {
  command: 'replay'
  file: string
  pace: 'lockstep' | 'recorded'
}

export interface CaptureArgs extends RecordArgs {
  command: 'capture'
  device: string | undefined
  /** ms */
  duration: number
  packets: number
}

export interface ReportArgs {
  command: 'report'
  file: string
  /** Where a page goes; undefined: none is written. */
  html: string | undefined
  json: boolean
}

export interface DevicesArgs {
  command: 'devices'
  json: boolean
}

export interface DoctorArgs {
  command: 'doctor'
  device: string | undefined
  /** Where captures are to go. */
  directory: string
  json: boolean
}

interface KeptArgs {
  /** A directory, or `s3://BUCKET/PREFIX`. */
  archive: string
  /** File; undefined: the environment has them. */
  keys: string | undefined
  actor: string | undefined
  baseUrl: string | undefined
  json: boolean
}

export type ArchiveArgs = KeptArgs &
  (
    | { command: 'archive list' | 'archive sweep' }
    | { command: 'archive sign'; id: string; expires: number }
    | { command: 'archive get'; id: string; file: string }
    | { command: 'archive copy'; id: string; to: string; retention: number }
    | { command: 'archive verify'; since: string | undefined }
  )

interface HelpArgs {
  command: 'help'
  text: string
}

export type Args =
  | WatchArgs
  | ReplayArgs
  | CaptureArgs
  | ReportArgs
  | DevicesArgs
  | DoctorArgs
  | ArchiveArgs
  | HelpArgs
  | { command: 'version' }

interface OptionSpec {
  value?: string
  help: string
}

interface CommandSpec {
  positionals: { name: string; required: boolean }[]
  summary: string
  options: Record<string, OptionSpec>
}

const keysOption = { value: 'FILE', help: 'its keys, ID:BASE64 a line (default: $PCAP_RING_ARCHIVE_KEYS)' }

const recordOptions = {
  dir: { value: 'DIR', help: 'where captures and reports go (default: captures)' },
  filter: { value: 'BPF', help: 'only what this expression matches, as for tcpdump' },
  format: { value: 'pcapng', help: 'of the capture file: pcap (the default) or pcapng' },
  archive: { value: 'DIR', help: 'archive for finished captures, or s3://BUCKET/PREFIX (default: none)' },
  keys: keysOption,
  retention: { value: '7d', help: 'how long the archive keeps them, 1d to 365d (default: 7d)' },
  json: { help: 'one JSON line an event on standard output, nothing else' },
}

const judgingOptions = {
  pps: { value: 'N', help: 'attack: inbound packets per second at or above N (50000, 50k)' },
  bps: { value: 'N', help: 'attack: inbound bits per second at or above N (1000000000, 1G)' },
  baseline: { value: '5m', help: 'attack: eight times the rate of the last 5m, 1h, …' },
}

const keepOption = {
  keep: { value: '7d', help: 'remove finished incidents of the directory after this long (default: never)' },
}

const archiveOptions = {
  archive: { value: 'DIR', help: 'the archive, or s3://BUCKET/PREFIX (default: archive)' },
  keys: keysOption,
  json: { help: 'one JSON line each on standard output' },
}

const actorOption = {
  actor: { value: 'NAME', help: 'who does it, for the audit trail (default: the user)' },
}

const commands: Record<Exclude<Args['command'], 'help' | 'version'>, CommandSpec> = {
  watch: {
    positionals: [{ name: 'DEVICE', required: false }],
    summary: 'keep the newest packets of a device; record an incident while there is a flood',
    options: { ...judgingOptions, ...keepOption, ...recordOptions },
  },
  replay: {
    positionals: [{ name: 'FILE', required: true }],
    summary: 'the same over a recording (.pcap, .pcapng)',
    options: {
      pace: { value: 'recorded', help: 'at the pace of the recording (default: as fast as it goes)' },
      ...judgingOptions,
      ...keepOption,
      ...recordOptions,
    },
  },
  capture: {
    positionals: [{ name: 'DEVICE', required: false }],
    summary: 'record from now on, for 30 s or 10,000 packets',
    options: {
      duration: { value: '30s', help: 'stop after this long (default: 30s)' },
      packets: { value: '10000', help: 'stop at this many packets (default: 10000)' },
      ...recordOptions,
    },
  },
  report: {
    positionals: [{ name: 'FILE', required: true }],
    summary: "a capture's report, or a summary of any recording",
    options: {
      html: { value: 'OUT.html', help: 'write it as one self-contained page (replaces OUT.html)' },
      json: { help: 'one JSON line on standard output' },
    },
  },
  devices: {
    positionals: [],
    summary: 'the network devices that can be captured on',
    options: { json: { help: 'one JSON line on standard output' } },
  },
  doctor: {
    positionals: [{ name: 'DEVICE', required: false }],
    summary: 'whether this machine can capture, how much, and what to do about it',
    options: {
      dir: recordOptions.dir,
      json: { help: 'one JSON line a finding on standard output' },
    },
  },
  'archive list': {
    positionals: [],
    summary: 'the captures of an archive',
    options: archiveOptions,
  },
  'archive sign': {
    positionals: [{ name: 'ID', required: true }],
    summary: 'a link to a capture, for whoever has it',
    options: {
      'base-url': { value: 'URL', help: "where the archive's handler is served" },
      expires: { value: '15m', help: 'how long it lives, 1s to 7d (default: 15m)' },
      ...actorOption,
      ...archiveOptions,
    },
  },
  'archive get': {
    positionals: [
      { name: 'ID', required: true },
      { name: 'FILE', required: true },
    ],
    summary: 'the plain capture, into a new file',
    options: { ...actorOption, ...archiveOptions },
  },
  'archive copy': {
    positionals: [
      { name: 'ID', required: true },
      { name: 'DIR', required: true },
    ],
    summary: 'a capture, into another archive (or s3://BUCKET/PREFIX) with the same keys',
    options: {
      retention: { value: '7d', help: 'how long it is kept there, 1d to 365d (default: 7d)' },
      ...actorOption,
      ...archiveOptions,
    },
  },
  'archive verify': {
    positionals: [],
    summary: 'the audit trail, entry by entry, and the head of each capture',
    options: {
      since: { value: 'HASH', help: 'a head that was kept: shows that nothing since was cut off' },
      ...archiveOptions,
    },
  },
  'archive sweep': {
    positionals: [],
    summary: 'removes what is past its retention',
    options: archiveOptions,
  },
}

const commandNames = [...new Set(Object.keys(commands).map((name) => name.split(' ')[0]))].join(', ')
const archiveNames = `archive ${Object.keys(commands)
  .flatMap((name) => name.split(' ')[1] ?? [])
  .join(', ')}`
const isCommand = (word: string): word is keyof typeof commands => Object.hasOwn(commands, word)

/** Every command; those of the archive are two words. */
export const everyCommand = Object.keys(commands) as readonly (keyof typeof commands)[]

/** @throws {UsageError} */
export function parseCommandLine(argv: readonly string[]): Args {
  const [first, second = '', ...others] = argv
  const two = first === 'archive' && isCommand(`archive ${second}`)
  const word = two ? `archive ${second}` : first
  const rest = two ? others : argv.slice(1)
  if (word === undefined) throw new UsageError(`name a command: ${commandNames}; or pcap-ring --help`)
  if (word === '--help' || word === '-h' || word === 'help') {
    const topic = [rest.slice(0, 2).join(' '), rest[0] ?? ''].find(isCommand)
    if (topic !== undefined) return { command: 'help', text: commandHelp(topic) }
    if (rest[0] === undefined || rest[0] === 'archive') return { command: 'help', text: help() }
    throw new UsageError(`${quote(rest[0])} is no command; write pcap-ring help and one of: ${commandNames}`)
  }
  if (word === '--version' || word === '-V') return { command: 'version' }
  if (word === 'archive') {
    if (second === '--help' || second === '-h') return { command: 'help', text: help() }
    throw new UsageError(`archive needs to know what to do; write pcap-ring ${archiveNames}`)
  }
  if (!isCommand(word)) throw new UsageError(`${quote(word)} is no command; write one of: ${commandNames}`)

  const given = readOptions(word, rest)
  if (given === 'help') return { command: 'help', text: commandHelp(word) }
  const { values, positionals, json } = given
  const [positional, another] = positionals
  const record = {
    directory: values.dir,
    filter: values.filter,
    format: format(values.format),
    archive: 'dir' in commands[word].options ? archive(values) : undefined,
    json,
  }

  switch (word) {
    case 'watch':
      return {
        command: word,
        device: device(positional),
        keep: keep(values.keep),
        ...record,
        ...judgedBy(values),
      }
    case 'replay':
      return {
        command: word,
        file: positional as string,
        pace: pace(values.pace),
        keep: keep(values.keep),
        ...record,
        ...judgedBy(values),
      }
    case 'capture':
      return {
        command: word,
        device: device(positional),
        ...record,
        duration: positiveDuration('--duration', values.duration ?? '30s'),
        packets: wholeNumber('--packets', values.packets ?? '10000'),
      }
    case 'report':
      return { command: word, file: positional as string, html: values.html, json }
    case 'devices':
      return { command: word, json }
    case 'doctor':
      return { command: word, device: device(positional), directory: values.dir ?? 'captures', json }
    case 'archive list':
    case 'archive sweep':
      return { command: word, ...kept(values, json) }
    case 'archive sign': {
      if (values['base-url'] === undefined) {
        throw new UsageError('sign needs to know where the archive is served; write --base-url https://HOST/captures')
      }
      const expires = durationFrom('--expires', values.expires ?? '15m', ['1s', '7d'], '15m')
      return { command: word, ...kept(values, json), id: captureId(positional), expires }
    }
    case 'archive get':
      return { command: word, ...kept(values, json), id: captureId(positional), file: another as string }
    case 'archive copy': {
      return {
        command: word,
        ...kept(values, json),
        id: captureId(positional),
        to: another as string,
        retention: retention(values),
      }
    }
    case 'archive verify':
      return { command: word, ...kept(values, json), since: values.since }
  }
}

const kept = ({ archive = 'archive', keys, actor, 'base-url': baseUrl }: Values, json: boolean): KeptArgs => {
  if (baseUrl !== undefined && !/^https?:\/\/[^/]/.test(baseUrl)) {
    throw new UsageError(`--base-url cannot be ${quote(baseUrl)}; write --base-url https://HOST/captures`)
  }
  return { archive, keys, actor, baseUrl, json }
}

/** As the ring judges it; only that there the option has another name. */
function device(name: string | undefined): string | undefined {
  if (name !== 'any') return name
  throw new UsageError('"any" is no one device; write the name of one, which pcap-ring devices lists')
}

function captureId(id: string | undefined): string {
  if (id !== undefined && /^(?!\.)[A-Za-z0-9._-]{1,64}$/.test(id)) return id
  throw new UsageError(`${quote(`${id}`)} is no capture's id; write one that pcap-ring archive list shows`)
}

type Values = Record<string, string | undefined>

function readOptions(
  command: keyof typeof commands,
  argv: string[],
): { values: Values; positionals: string[]; json: boolean } | 'help' {
  const spec = commands[command]
  const known = Object.entries(spec.options)
  const types = known.map(([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const)
  // Not strict: its messages are of several lines and do not say what to write.
  const { tokens } = parseArgs({
    args: argv,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: { help: { type: 'boolean', short: 'h' }, ...Object.fromEntries(types) },
  })
  if (tokens.some((token) => token.kind === 'option' && token.name === 'help')) return 'help'

  const values: Values = {}
  const positionals: string[] = []
  let json = false
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value, inlineValue } = token
    const option = Object.hasOwn(spec.options, name) ? spec.options[name] : undefined
    if (option === undefined) {
      const all = known.map(([each]) => `--${each}`).join(', ')
      throw new UsageError(`${command} has no option ${quote(rawName)}; write one of: ${all}`)
    }
    if (option.value === undefined) {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value; write ${rawName}`)
      json = true
    } else if (value === undefined || value === '' || (!inlineValue && value.startsWith('-'))) {
      throw new UsageError(`${rawName} needs a value; write ${rawName} ${option.value}`)
    } else {
      values[name] = value
    }
  }

  const usage = ['pcap-ring', command, ...spec.positionals.map(({ name }) => name)].join(' ')
  for (const [i, { name, required }] of spec.positionals.entries()) {
    if (required && positionals[i] === undefined) throw new UsageError(`name a ${called[name]}; write ${usage}`)
    if (positionals[i] === '') throw new UsageError(`the ${name} is empty; write ${usage}`)
  }
  const superfluous = positionals[spec.positionals.length]
  if (superfluous !== undefined) throw new UsageError(`${quote(superfluous)} is one argument too many; write ${usage}`)
  return { values, positionals, json }
}

const called: Record<string, string> = { FILE: 'file', ID: 'capture', DIR: 'directory', DEVICE: 'device' }

/** Without any of them, by a baseline. */
function judgedBy({ pps, bps, baseline }: Values): Pick<WatchedArgs, 'pps' | 'bps' | 'baseline'> {
  const alone = pps !== undefined || bps !== undefined ? undefined : '5m'
  const length = baseline ?? alone
  return {
    pps: pps === undefined ? undefined : rateNumber('--pps', pps, '50000 or 50k'),
    bps: bps === undefined ? undefined : rateNumber('--bps', bps, '1000000000 or 1G'),
    baseline: length === undefined ? null : durationFrom('--baseline', length, ['10s', '1d'], '5m'),
  }
}

function rateNumber(option: string, text: string, example: string): number {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text)
  const factors = { '': 1, k: 1e3, M: 1e6, G: 1e9 }
  const value = match === null ? NaN : Number(match[1]) * factors[match[2] as keyof typeof factors]
  if (!(value >= 1 && value <= 1e12)) {
    throw new UsageError(`${option} must be a number from 1 to 1000G, not ${quote(text)}; write ${option} ${example}`)
  }
  return value
}

function wholeNumber(option: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(value >= 1 && Number.isSafeInteger(value))) {
    throw new UsageError(`${option} must be a whole number from 1, not ${quote(text)}; write ${option} 10000`)
  }
  return value
}

function archive(values: Values): RecordArgs['archive'] {
  const { archive: place, keys } = values
  if (place !== undefined) return { place, keys, retention: retention(values) }
  if (keys === undefined && values.retention === undefined) return undefined
  throw new UsageError(`${keys === undefined ? '--retention' : '--keys'} is for an archive; write --archive DIR, too`)
}

const retention = ({ retention: text = '7d' }: Values): number =>
  durationFrom('--retention', text, ['1d', '365d'], '7d')

function keep(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = positiveDuration('--keep', text)
  if (ms < 1_000) throw new UsageError(`--keep must be a second or more, not ${quote(text)}; write --keep 7d`)
  return ms
}

function durationFrom(option: string, text: string, [least, most]: [string, string], example: string): number {
  const ms = positiveDuration(option, text)
  if (ms >= parseDuration(least, option) && ms <= parseDuration(most, option)) return ms
  throw new UsageError(`${option} must be ${least} to ${most}, not ${quote(text)}; write ${option} ${example}`)
}

function positiveDuration(option: string, text: string): number {
  try {
    return parseDuration(/^\d+$/.test(text) ? Number(text) : text, option, { min: 1 })
  } catch {
    const wanted = `${option} 250ms, 30s, 15m or 2h`
    throw new UsageError(`${option} must be a duration above 0, not ${quote(text)}; write ${wanted}`)
  }
}

function format(text = 'pcap'): CaptureFormat {
  if (text !== 'pcap' && text !== 'pcapng') {
    throw new UsageError(`--format cannot be ${quote(text)}; write --format pcap or --format pcapng`)
  }
  return text
}

function pace(text = 'lockstep'): 'lockstep' | 'recorded' {
  if (text !== 'lockstep' && text !== 'recorded') {
    throw new UsageError(`--pace cannot be ${quote(text)}; write --pace recorded, or leave it out`)
  }
  return text
}

/** On one line, whatever was typed. */
const quote = (text: string): string => JSON.stringify(text)

function usageOf(name: keyof typeof commands): string {
  const places = commands[name].positionals.map(({ name: place, required }) => (required ? place : `[${place}]`))
  return ['pcap-ring', name, ...places].join(' ')
}

function help(): string {
  return [
    'Usage: pcap-ring COMMAND [options]',
    '',
    ...columns([
      ...everyCommand.map((name) => [usageOf(name), commands[name].summary] as const),
      ['pcap-ring COMMAND --help', 'the options of a command'],
      ['pcap-ring --version', 'which this is'],
    ]),
    '',
    'Exit status: 0 done, 1 failed, 2 wrong usage.',
    '',
  ].join('\n')
}

function commandHelp(name: keyof typeof commands): string {
  const { summary, options } = commands[name]
  const threshold =
    'pps' in options
      ? [
          '',
          ...wrapped(
            'Without --pps, --bps and --baseline: by a baseline of 5m. It has to last for 300 ms; the incident ends when traffic has stayed below three quarters of all that it is judged by for 10 s.',
          ),
        ]
      : []
  return [
    `Usage: ${usageOf(name)} [options]`,
    '',
    ...wrapped(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`),
    '',
    ...columns(
      Object.entries(options).map(([option, { value, help }]) => [
        `--${option}${value === undefined ? '' : ` ${value}`}`,
        help,
      ]),
    ),
    ...threshold,
    '',
  ].join('\n')
}
