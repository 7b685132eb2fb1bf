// Who takes part, as data: what is measured, without starting anything.

/** What has to be installed first: a command of the system, or a module from npm. */
export type Need = 'tcpdump' | 'dumpcap' | 'netsniff-ng' | 'cap' | 'pcap'

type Kind = 'native' | 'tool' | 'host'

export interface Contestant {
  name: string
  /** `native`: bench/receiver.cc; `tool`: a program of the system; `host`: a Node process. */
  kind: Kind
  need?: Need
  /** Its question is asked flat out only, so without `--rates` nothing else is measured. */
  flatOnly?: true
  about: string
}

/** An idle Node process: what the sender takes, and what a Node process costs, while nobody captures. */
export const baseline = 'nothing'

export const contestants: readonly Contestant[] = [
  { name: baseline, kind: 'host', about: 'nobody captures; an idle Node process' },
  { name: 'reject', kind: 'native', flatOnly: true, about: 'a packet socket whose filter rejects every packet' },
  { name: 'floor', kind: 'native', about: 'a TPACKET_V3 ring whose blocks are counted and given back unread' },
  { name: 'libpcap', kind: 'native', about: 'libpcap with a callback that does nothing, set up as pcap-ring is' },
  { name: 'pcap-ring', kind: 'host', about: 'at its defaults' },
  { name: 'pcap-ring-null', kind: 'host', about: 'cpuBudget: null' },
  {
    name: 'pcap-ring-capped',
    kind: 'host',
    flatOnly: true,
    about: 'at its defaults, with an incident whose file has reached its cap',
  },
  { name: 'tcpdump-disk', kind: 'tool', need: 'tcpdump', about: 'tcpdump -w, to a file on disk' },
  { name: 'tcpdump-null', kind: 'tool', need: 'tcpdump', about: 'tcpdump -w /dev/null' },
  { name: 'dumpcap', kind: 'tool', need: 'dumpcap', about: 'dumpcap -b packets:500 -b files:2' },
  { name: 'netsniff-ng', kind: 'tool', need: 'netsniff-ng', about: 'netsniff-ng, to a file on disk' },
  { name: 'cap', kind: 'host', need: 'cap', about: 'npm cap, a listener that counts' },
  { name: 'pcap', kind: 'host', need: 'pcap', about: 'npm pcap, a listener that counts' },
  { name: 'ftagent', kind: 'tool', need: 'tcpdump', about: "tcpdump -G 1, the newest two files kept: ftagent's way" },
]

/** Measured by themselves, beside the grid of contestants, rates and sizes. */
export const specials = ['timer', 'freeze'] as const
export type Special = (typeof specials)[number]

export const find = (name: string): Contestant => {
  const found = contestants.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no contestant is called ${name}`)
  return found
}
