// The command line of `npm run bench`.

import { contestants, type Special, specials } from './contestants.js'

export type Rate = number | 'flat'

/** How the frames of a rate are spread: in trains, one a millisecond, or each for itself. */
const patterns = ['trains', 'even'] as const
export type Pattern = (typeof patterns)[number]

export interface Options {
  /** Contestants of the grid. */
  only: string[]
  specials: Special[]
  rounds: number
  seconds: number
  rates: Rate[]
  /** Whether the rates were asked for: then they hold for every contestant. */
  ratesGiven: boolean
  sizes: number[]
  pattern: Pattern
  out: string
}

export class UsageError extends Error {}

export const usage = `npm run bench -- [OPTIONS]

  --only NAME[,NAME]   of the names below                  (default: all)
  --rounds N           interleaved runs, 1 to 100          (default: 5)
  --seconds S          measured in each, 1 to 7            (default: 5)
  --rates R[,R]        packets a second, or flat           (default: 1000,10000,100000,flat)
  --sizes B[,B]        bytes of a frame, 64 to 1514        (default: 64,512,1514)
  --pattern P          trains (one a millisecond) or even  (default: trains)
  --out DIR            where results go                    (default: build/bench)
  --help               this

Contestants:
${contestants.map(({ name, about }) => `  ${name.padEnd(16)}   ${about}`).join('\n')}
  timer              longest delay of a 10 ms timer in a process without a ring and with one
  freeze             from freeze() until what was before it is on disk`

const names: string[] = [...contestants.map(({ name }) => name), ...specials]

function whole(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${option} takes a whole number from ${least} to ${most}, not "${text}"`)
  }
  return value
}

function list<T>(option: string, text: string, one: (text: string) => T): T[] {
  const parts = text.split(',').map(one)
  if (new Set(parts).size < parts.length) throw new UsageError(`${option} names something twice: "${text}"`)
  return parts
}

function known(name: string): string {
  if (names.includes(name)) return name
  throw new UsageError(`there is no contestant "${name}"; there are ${names.join(', ')}`)
}

/** Throws a UsageError that says what to write instead; null where help is asked for. */
export function parseOptions(args: readonly string[], defaultOut: string): Options | null {
  const options: Options = {
    only: contestants.map(({ name }) => name),
    specials: [...specials],
    rounds: 5,
    seconds: 5,
    rates: [1_000, 10_000, 100_000, 'flat'],
    ratesGiven: false,
    sizes: [64, 512, 1_514],
    pattern: 'trains',
    out: defaultOut,
  }
  const rest = args.flatMap((arg) =>
    /^--\w+=/.test(arg) ? [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)] : [arg],
  )
  for (let i = 0; i < rest.length; i += 2) {
    const option = rest[i] as string
    if (option === '--help') return null
    const value = rest[i + 1]
    const take = (): string => {
      if (value === undefined || value === '') throw new UsageError(`${option} needs a value`)
      return value
    }
    switch (option) {
      case '--only': {
        const chosen = list(option, take(), known)
        options.only = options.only.filter((name) => chosen.includes(name))
        options.specials = specials.filter((name) => chosen.includes(name))
        break
      }
      case '--rounds':
        options.rounds = whole(option, take(), 1, 100)
        break
      case '--seconds':
        // The sender runs for 20 s at most, and an incident at 1,000 packets a second reaches its cap after 10.
        options.seconds = whole(option, take(), 1, 7)
        break
      case '--rates':
        options.rates = list(option, take(), (text) => (text === 'flat' ? text : whole(option, text, 1, 10_000_000)))
        options.ratesGiven = true
        break
      case '--sizes':
        options.sizes = list(option, take(), (text) => whole(option, text, 64, 1_514))
        break
      case '--pattern': {
        const pattern = patterns.find((one) => one === take())
        if (pattern === undefined) throw new UsageError(`--pattern takes ${patterns.join(' or ')}, not "${value}"`)
        options.pattern = pattern
        break
      }
      case '--out':
        options.out = take()
        break
      default:
        throw new UsageError(`unknown option "${option}"`)
    }
  }
  return options
}
