import type { PcapRingError } from './errors.js'
import type { Incident } from './incident.js'

/** A number of milliseconds, or a string with its unit: `'250ms'`, `'30s'`, `'15m'`, `'12h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Digits of a second in a file and in the times that go with it: 6 or 9. Micro cuts, never rounds. */
export type Precision = 'micro' | 'nano'

/** As the interface sees it. `'in'` is all that it did not send. */
export type Direction = 'in' | 'out' | 'both'

/** The file format of what is written. */
export type CaptureFormat = 'pcap' | 'pcapng'

/** Which of the three caps ended the recording of an incident. */
export type CapReason = 'packets' | 'bytes' | 'duration'

/** The stretches of a capture file, in file order. `capture` stands for `attack` in a manual incident. */
export type SectionName = 'history' | 'pre-buffer' | 'onset' | 'attack' | 'capture' | 'resolution'

/** What happens without the permission to capture: figures of the operating system, or a rejected `start()`. */
export type Fallback = 'statistics' | false

// ---------------------------------------------------------------------------------------------- options

/** The bounds of a capture file, whichever is reached first. */
export interface CapOptions {
  /**
   * Packets in the whole file, everything from before the freeze included. If smaller than what stands before the
   * freeze, the newest are kept.
   * @default 10_000
   */
  packets?: number | undefined
  /** Bytes of the whole file, 24 or more; 148 or more in a .pcapng. Unbounded unless given. */
  bytes?: number | undefined
  /** Time from the freeze on. Unbounded unless given; 30 s in a manual capture. */
  duration?: Duration | undefined
}

/** Which finished incidents go. Either bound, or both. */
export interface KeepOptions {
  /** For how long after it was finished, 1 s or more. */
  age?: Duration | undefined
  /** Bytes of all captures and their reports together, 1 or more. */
  bytes?: number | undefined
}

/** What is still recorded after `resolve()`, inside the cap, whichever ends first. */
export interface ResolutionOptions {
  /**
   * 0: no resolution section, `resolve()` ends at once.
   * @default 100
   */
  packets?: number | undefined
  /**
   * 0: no resolution section, `resolve()` ends at once.
   * @default '1s'
   */
  duration?: Duration | undefined
  /**
   * Keep `packets` of the cap free for the resolution section.
   * @default false
   */
  reserve?: boolean | undefined
}

/** What is kept while nothing is going on. */
export interface RingOptions {
  /**
   * Newest packets kept, 1…1,000,000.
   * @default 500
   */
  packets?: number | undefined
  /**
   * Bound of all packet bytes held while no incident is open, at least `snaplen` + 64 KiB. Big packets may fill it
   * first: fewer are kept then, and `stats().ring` says so.
   * @default 4 KiB × `packets`, at least 2 MiB
   */
  bytes?: number | undefined
}

/** What counts as an onset: a rate above `factor` times the calm one and above the minimum, in packets or in bits. */
export interface OnsetOptions {
  /**
   * Times the calm rate, 1.5…1,000.
   * @default 8
   */
  factor?: number | undefined
  /**
   * Packets a second, 0…10^12; below, nothing is a rise in packets.
   * @default 1_000
   */
  minPps?: number | undefined
  /**
   * Bits a second, 0…10^12; below, nothing is a rise in bits.
   * @default 10_000_000
   */
  minBps?: number | undefined
}

/** Options of a {@link PcapRing}; all have defaults. */
export interface PcapRingOptions {
  /**
   * The network device to capture on. `'any'` is refused: open one ring per device. Exclusive with `file`.
   * @default the device of the default route
   */
  device?: string | undefined
  /**
   * A recording (path, file URL or bytes; .pcap or .pcapng) to replay in place of a device. Exclusive with `device`.
   */
  file?: string | URL | Uint8Array | undefined
  /**
   * Replay only. `'lockstep'`: as fast as the machine allows, in packet time, waiting for the `stats` listeners.
   * `'recorded'`: at the pace of the recording.
   * @default 'lockstep'
   */
  pace?: 'lockstep' | 'recorded' | undefined
  /** BPF expression (pcap-filter(7)). Without one, everything. */
  filter?: string | undefined
  /**
   * A recording without directions is all `'in'`.
   * @default 'both'
   */
  direction?: Direction | undefined
  /**
   * Bytes kept per packet, 64…262,144; enforced in the kernel.
   * @default 2048; in a replay: the recording's
   */
  snaplen?: number | undefined
  /**
   * For mirror ports: true.
   * @default false
   */
  promiscuous?: boolean | undefined
  /** How much is kept while nothing is going on. */
  ring?: RingOptions | undefined
  /**
   * How long an onset is kept after the rise is over, and how far a history of a slow rise reaches back, up to 10 min.
   * 0: neither onset nor history.
   * @default '10s'
   */
  lookback?: Duration | undefined
  /** What counts as a rise whose onset is kept. */
  onset?: OnsetOptions | undefined
  /** Bounds of every incident's file; `freeze()` may override them. */
  cap?: CapOptions | undefined
  /** What is recorded after every incident's `resolve()`; `freeze()` may override it. */
  resolution?: ResolutionOptions | undefined
  /**
   * Where incidents are written. Resolved at construction, created (mode 0700) and write-probed by `start()`; an
   * existing one keeps its mode.
   * @default 'captures'
   */
  directory?: string | undefined
  /**
   * Bytes that are to stay free on the file system of `directory`. With less, no incident or manual capture begins or goes on
   * recording: it ends with `ERR_PCAP_NO_SPACE` and keeps what it has; the ring goes on. 0: the disk may become full. Its
   * report is written all the same, and so are dumps.
   * @default 256 MiB or 5 % of the file system, the smaller
   */
  minFree?: number | undefined
  /**
   * Finished incidents in `directory` beyond `age` or `bytes` are removed, the oldest first, whichever ring recorded them
   * (event `expire`): captures that a report of ours beside them names, with the report. Never one that somebody has
   * locked (`flock`), of another user, under a second name, or that `archive` does not have yet.
   * @default false
   */
  keep?: KeepOptions | false | undefined
  /**
   * Every finished incident and manual capture that has a file is handed to it (event `archive`). After a failure, which is a
   * `warning`, it is tried again: after 0.2 s, half as long again each time, up to a minute. What it does not have 30 s after
   * `close()`, and what no further try would change, is handed over by the next ring with this directory.
   */
  archive?: ArchiveSink | undefined
  /**
   * Of incidents, manual captures and dumps. A `'pcapng'` also says within the file what it is: id and reason, the
   * device, the filter, where each section begins, what was lost.
   * @default 'pcap'
   */
  format?: CaptureFormat | undefined
  /**
   * Of the times in files, reports, events and `stats()`.
   * @default 'micro'
   */
  precision?: Precision | undefined
  /**
   * Time between two `stats` events, 50 ms…60 s.
   * @default '250ms'
   */
  statsInterval?: Duration | undefined
  /**
   * Bytes of the kernel's buffer, 1 MiB…1 GiB.
   * @default 2 MiB
   */
  kernelBuffer?: number | undefined
  /**
   * Longest time the kernel may hold a packet back, 1 ms…1 s.
   * @default '100ms'
   */
  latency?: Duration | undefined
  /**
   * Share of one core for the capture thread while no incident is open, 0.0001…1. Above it the kernel keeps 1 of N packets,
   * drawn at random, and every figure says so (`sampling`). `freeze()`, `capture()` and the suspicion of an onset set it
   * back to every packet. `null`: never sample. A replay never samples.
   * @default 0.005
   */
  cpuBudget?: number | null | undefined
  /**
   * `false`: without the permission to capture, `start()` rejects with `ERR_PCAP_PERMISSION`.
   * @default 'statistics'
   */
  fallback?: Fallback | undefined
}

/** Options of `freeze()`. Those the ring has too are merged key by key over the ring's. */
export interface FreezeOptions {
  /**
   * Names the file: `incident_<id>.pcap` (or .pcapng). `[A-Za-z0-9._-]{1,64}`, not starting with a dot.
   * @default 8 random hex digits
   */
  id?: string | undefined
  /** For the report; at most 1 KiB. */
  reason?: string | undefined
  /** For the report; at most 4 KiB in all. */
  labels?: Record<string, string> | undefined
  /**
   * The host's own idea of when the attack began: a Date or a time string as we hand them out. For `coverage`, where no
   * onset is kept; it changes nothing of what is in the file.
   */
  since?: Date | string | undefined
  /** Bounds of this incident's file. */
  cap?: CapOptions | undefined
  /** What is recorded after this incident's `resolve()`. */
  resolution?: ResolutionOptions | undefined
  /** From a detector; kept in the report. */
  attack?: Attack | undefined
}

/** Options of `capture()`. */
export interface ManualOptions {
  /**
   * Names the file: `incident_<id>.pcap` (or .pcapng). `[A-Za-z0-9._-]{1,64}`, not starting with a dot.
   * @default 8 random hex digits
   */
  id?: string | undefined
  /** For the report; at most 1 KiB. */
  reason?: string | undefined
  /** For the report; at most 4 KiB in all. */
  labels?: Record<string, string> | undefined
  /** Aborting ends the capture like `resolve()`. */
  signal?: AbortSignal | undefined
  /**
   * Bounds of the file, merged key by key over the default; `bytes` over the ring's.
   * @default { packets: 10_000, duration: '30s' }
   */
  cap?: CapOptions | undefined
}

// ---------------------------------------------------------------------------------------------- statistics

/** Packets by transport protocol; fragments count by the protocol they carry. */
export interface Protocols {
  /** TCP packets. */
  tcp: number
  /** UDP packets. */
  udp: number
  /** ICMP and ICMPv6 packets. */
  icmp: number
  /** All others: the four add up to all packets. */
  other: number
}

/** TCP packets by flags; `synack` are not counted in `syn`, nor in `ack`. */
export interface TcpFlags {
  /** SYN without ACK. */
  syn: number
  /** SYN and ACK. */
  synack: number
  /** ACK without SYN, FIN and RST. */
  ack: number
  /** RST, whatever else is set. */
  rst: number
  /** FIN, whatever else is set. */
  fin: number
}

/** Packets, bytes (original lengths) and their rates per second; bps in bits. */
export interface TrafficCounts {
  /** Packets in the interval. */
  packets: number
  /** Sum of their original lengths. */
  bytes: number
  /** Packets a second. */
  pps: number
  /** Bits a second, of original lengths. */
  bps: number
}

interface StatsBase extends TrafficCounts {
  /** End of the interval. */
  time: string
  /** Length of the interval, ms; 0 before the first has ended. */
  interval: number
  /** The kernel kept 1 of this many packets at the end of the interval; figures are scaled. 1: every packet. */
  sampling: number
  /** What the interface did not send. */
  inbound: TrafficCounts
}

/** The last completed interval while packets are captured. Matched by the filter, in the directions asked for. */
export interface StatsCapture extends StatsBase {
  /** Packets are captured. */
  mode: 'capture'
  /** Packets by transport protocol. */
  protocols: Protocols
  /** TCP packets by flags. */
  tcpFlags: TcpFlags
  /** IP fragments. */
  fragments: number
  /** Packets that the kernel and the interface dropped in the interval. */
  loss: {
    /** By the kernel: its buffer was full. */
    kernel: number
    /** By the interface: the kernel did not fetch them in time. */
    interface: number
  }
  /** What the ring holds. */
  ring: {
    /** Packets, at most `ring.packets` of the options. */
    packets: number
    /** Captured bytes of these. */
    bytes: number
    /** Between the oldest and the newest packet, ms. */
    span: number
    /** The time of the oldest packet; null: the ring is empty. */
    oldest: string | null
  }
  /** Since `start()`. */
  total: {
    /** Packets. */
    packets: number
    /** Sum of original lengths. */
    bytes: number
    /** Packets that the kernel dropped. */
    kernelLoss: number
    /** Packets that the interface dropped. */
    interfaceLoss: number
  }
}

/** The last completed interval in statistics-only mode: figures of the operating system's interface counters. */
export interface StatsStatistics extends StatsBase {
  /** Nothing is captured. */
  mode: 'statistics'
  /** No packet is looked at. */
  protocols: null
  /** No packet is looked at. */
  tcpFlags: null
  /** No packet is looked at. */
  fragments: null
  /** Packets dropped in the interval. */
  loss: {
    /** Nothing is captured that the kernel could drop. */
    kernel: null
    /** By the interface: the kernel did not fetch them in time. */
    interface: number
  }
  /** There is none. */
  ring: null
  /** Since `start()`. */
  total: {
    /** Packets. */
    packets: number
    /** Bytes as the interface counts them. */
    bytes: number
    /** Nothing is captured that the kernel could drop. */
    kernelLoss: null
    /** Packets that the interface dropped. */
    interfaceLoss: number
  }
}

/** The figures of an interval; `mode` tells the two shapes apart. */
export type Stats = StatsCapture | StatsStatistics

/** The beginning of a rise, kept in case of a freeze. bps in bits. */
export interface Onset {
  /** The time of its first packet. */
  at: string
  /** What the traffic rose to, packets a second. */
  pps: number
  /** What it rose to, bits a second. */
  bps: number
  /** What it was before, packets a second. */
  baselinePps: number
  /** What it was before, bits a second. */
  baselineBps: number
}

// ---------------------------------------------------------------------------------------------- incidents

/** What floods are amplified by, each known by its UDP source port. */
export type AmplificationProtocol =
  | 'dns'
  | 'ntp'
  | 'ssdp'
  | 'memcached'
  | 'cldap'
  | 'snmp'
  | 'chargen'
  | 'qotd'
  | 'portmap'
  | 'ws-discovery'

/** The kind of a flood, by what its packets are. */
export type Vector =
  | 'udp-flood'
  | 'syn-flood'
  | 'synack-reflection'
  | 'ack-flood'
  | 'rst-flood'
  | 'icmp-flood'
  | 'fragment-flood'
  | `${AmplificationProtocol}-amplification`
  | 'multi-vector'
  | 'unknown'

/** How far the highest rate is above what it was judged by: below 4 times, 16, 64, and beyond. */
export type Severity = 'low' | 'medium' | 'high' | 'critical'

/** What a detector saw. Rates are inbound; bps in bits. */
export interface Attack {
  /** The end of the interval that made it an attack. */
  at: string
  /** When it began: the ring's onset where there is one, else the beginning of its first interval; null: unknown. */
  onsetAt: string | null
  /** The highest rate so far, packets a second. */
  pps: number
  /** The highest rate so far, bits a second. */
  bps: number
  /** What is normal; zeros where that is not known. */
  baseline: {
    /** Packets a second. */
    pps: number
    /** Bits a second. */
    bps: number
  }
  /** What it was judged by: a threshold of the options, or the baseline. */
  cause: 'pps' | 'bps' | 'baseline'
  /** What kind of flood it is. */
  vector: Vector
  /** How far it is above what it was judged by. */
  severity: Severity
}

/** A stretch of a capture file. Sections without packets are left out. */
export interface Section {
  /** Which of them it is. */
  name: SectionName
  /** Packets in it, one at least. */
  packets: number
  /** Sum of original lengths. */
  bytes: number
  /** Smallest packet time. */
  from: string
  /** Largest packet time. */
  to: string
  /** Its first packet in the file, counted from 1, as Wireshark does. */
  firstFrame: number
  /** Its last packet in the file. */
  lastFrame: number
  /**
   * Each packet stands for `min`…`max`: in `history` by the choice of what was kept over `lookback`, elsewhere because
   * the kernel kept 1 of that many. null: every packet.
   */
  sampling: {
    /** The fewest. */
    min: number
    /** The most. */
    max: number
  } | null
}

/** Packets that are missing between the first and the last packet of the file. */
export interface Gap {
  /** The time of the packet before them. */
  from: string
  /** The time of the packet after them. */
  to: string
  /** null: it cannot be told how many. */
  packets: number | null
  /** Whether `packets` was counted rather than estimated. */
  exact: boolean
  /**
   * Why: they had left the ring before they were recorded, or the writer was too slow for them; the kernel dropped them; it was
   * asked to keep 1 of N; the device was away. `'clock'`: the clock was set; not told yet.
   */
  reason: 'ring' | 'kernel' | 'sampling' | 'device-down' | 'clock'
}

/** How much of the attack and of what came before it the file shows. */
export interface Coverage {
  /** When the attack began: by the kept onset, else by `since`; null where there is neither. */
  onsetAt: string | null
  /** `'watch'`: the kept onset, and `onsetAt` is the time of its first packet, which a small cap or ring may leave out. */
  onsetSource: 'watch' | 'since' | null
  /** Packets in the file from before `onsetAt`; 0 where it is null. */
  preOnsetPackets: number
  /** ms between the first packet in the file and `onsetAt`; 0 where that is null. */
  preOnsetSpan: number
  /** Nothing is missing between the first and the last packet. */
  complete: boolean
  /** Where packets are missing; of more than 256, neighbours are told as one. */
  gaps: Gap[]
  /** Of the packets in the file. */
  clock: {
    /** How often a packet's time is before that of the one before it. */
    backSteps: number
    /** The largest of these steps, ms. */
    largestBackStep: number
  }
}

/** A highest rate, and the start of the slot in which it was reached. */
export interface Peak {
  /** The rate, a second. */
  value: number
  /** When its slot began; `frozenAt` where nothing came. */
  at: string
}

/** Figures from freeze to resolve, also after the cap and in statistics-only mode. */
export interface IncidentStatistics {
  /** Packets. */
  packets: number
  /** Sum of original lengths. */
  bytes: number
  /** In packets. */
  peakPps: Peak
  /** In bits of original lengths. */
  peakBps: Peak
  /** null in statistics-only mode, as the two that follow. */
  protocols: Protocols | null
  /** TCP packets by flags. */
  tcpFlags: TcpFlags | null
  /** IP fragments. */
  fragments: number | null
  /**
   * The kernel kept 1 of `min`…`max` packets, as it does after the cap: all figures here are estimates by that. Absent where
   * every packet was counted, or the operating system's counters were.
   */
  sampling?: {
    /** The fewest. */
    min: number
    /** The most. */
    max: number
  }
  /** At most 600 slots. */
  timeline: {
    /** When the slot began. */
    at: string
    /** Packets in it. */
    packets: number
    /** Sum of original lengths. */
    bytes: number
  }[]
}

/**
 * The addresses at one end of the packets in a file. Exact up to 4,096 different ones. Beyond, `estimated` is true:
 * memory stays bounded, and numbers may be off as said here.
 */
export interface TrafficAddresses {
  /** Different addresses. Where estimated, its standard error is 0.8 %. */
  count: number
  /** There were more than 4,096. */
  estimated: boolean
  /**
   * The ten with the most packets; `bytes` are original lengths. Where estimated, both are what was certainly there:
   * never too high, too low by at most one 4,096th of the packets with an address.
   */
  top: {
    /** IPv4 or IPv6, textual. */
    address: string
    /** Packets from or to it. */
    packets: number
    /** Sum of their original lengths. */
    bytes: number
  }[]
  /** All other packets with an address: `other` and the packets of `top` add up to them, estimated or not. */
  other: number
}

/** What the packets in the file are. Sums agree with `sections`, save where something is said to have none. */
export interface Traffic {
  /** Packets by transport protocol. */
  protocols: Protocols
  /** TCP packets by flags. */
  tcpFlags: TcpFlags
  /** IP fragments. */
  fragments: number
  /**
   * By original length, each up to and including `upTo`: 64, 127, 255, 511, 1,023, 1,518 (RFC 2819), 9,018 (jumbo
   * frames), and null for what is longer.
   */
  sizes: {
    /** The largest length, bytes; null: any. */
    upTo: number | null
    /** Packets of more than the one before, and up to this. */
    packets: number
  }[]
  /** Of IPv4 and IPv6, outermost header. A packet without one (ARP, or cut before its end) has no address. */
  sources: TrafficAddresses
  /** The same of where they went. */
  destinations: TrafficAddresses
  /**
   * The ten with the most packets of each protocol and side, always exact. Fragments but the first, and packets that
   * were cut before them, have no ports.
   */
  ports: {
    /** Of which protocol. */
    proto: 'tcp' | 'udp'
    /** At which end. */
    side: 'source' | 'destination'
    /** Its number. */
    port: number
    /** Packets from or to it. */
    packets: number
  }[]
  /**
   * At most 600 slots, by section, then by time; those without packets are left out. They lie on a grid from
   * `frozenAt` on, their length is 1 ms, doubled until there are few enough. `at` is the start.
   */
  timeline: {
    /** When the slot began. */
    at: string
    /** Packets in it, of this section. */
    packets: number
    /** Sum of original lengths. */
    bytes: number
    /** The section. */
    section: SectionName
  }[]
}

/** Where, with what and by which clock the evidence was taken. */
export interface Custody {
  /** The machine. */
  host: {
    /** Its name. */
    hostname: string
    /** Which of its boots it was; null: unknown, as without /proc. */
    bootId: string | null
    /** Release of the kernel. */
    kernel: string
  }
  /** The versions that were at work. */
  software: {
    /** Of this library. */
    version: string
    /** Of libpcap, in its own words. */
    libpcap: string
    /** Of Node. */
    node: string
  }
  /** null in a replay. */
  device: {
    /** Its name. */
    name: string
    /** Its number in the kernel; 0: unknown, as of a device that is gone. */
    index: number
    /** Its hardware address, hexadecimal with colons; null: it has none, or it is unknown. */
    mac: string | null
    /** Largest packet without its link-layer header, bytes; null: unknown, as of a device that is gone. */
    mtu: number | null
    /** Mbit/s; null: unknown, as of virtual devices. */
    speed: number | null
    /** The kernel's driver; null: unknown. */
    driver: string | null
    /** Whether it was asked for packets to others, too. */
    promiscuous: boolean
  } | null
  /** The system clock as the kernel judges it; null: unknown. */
  clock: {
    /** Whether something keeps it right. */
    synchronised: boolean | null
    /** How far it may be off, microseconds. */
    maxErrorUs: number | null
  }
}

/**
 * All that is known about a finished incident; the same object is the JSON file beside the capture.
 * Times are ISO 8601 UTC with 6 fractional digits (9 with `precision: 'nano'`), packet time in a replay.
 */
export interface IncidentReport {
  /** Of this format. */
  version: 1
  /** The incident's. */
  id: string
  /** Made by `freeze()`, or by `capture()`. */
  kind: 'incident' | 'manual'
  /** As given; null: none was. */
  reason: string | null
  /** As given; empty: none were. */
  labels: Record<string, string>
  /** As given; null: none was. */
  attack: Attack | null
  /** A live capture, or a replay. */
  source: 'device' | 'file'
  /** Whether there are packets, or figures only. */
  mode: 'capture' | 'statistics'
  /** Absolute path of the capture; null in statistics-only mode. */
  file: string | null
  /** Of the file. */
  format: CaptureFormat
  /** `'EN10MB'` and so on, as libpcap names them. */
  linkType: string
  /** Bytes kept of a packet, at most. */
  snaplen: number
  /** As given; null: every packet. */
  filter: string | null
  /** As given. */
  direction: Direction
  /** Size of the file. */
  bytes: number
  /** Packets in the file. */
  packets: number
  /** Of the bytes written, hexadecimal; may be null in a recovered one. */
  sha256: string | null
  /** The cap that ended the recording; null: none did. */
  capped: CapReason | null
  /** Its writer died; a later `start()` cut the file back to its last whole record. */
  recovered: boolean
  /** The code of what went wrong, e.g. `'ERR_PCAP_NO_SPACE'`. */
  error: string | null
  /** The boundary between what was before and what came: the time that `freeze()` or `capture()` took. */
  frozenAt: string
  /** When it was resolved, or ended by itself. */
  resolvedAt: string
  /** From freeze to resolve, ms. */
  duration: number
  /** Smallest packet time in the file; null in an empty one. */
  from: string | null
  /** Largest packet time in the file; null in an empty one. */
  to: string | null
  /** The stretches of the file. */
  sections: Section[]
  /** How much it shows, and what is missing. */
  coverage: Coverage
  /** Packets lost from the first packet in the file to the last. */
  loss: {
    /** By the kernel: its buffer was full. */
    kernel: number
    /** By the interface: the kernel did not fetch them in time. */
    interface: number
    /** By us: the disk was too slow. */
    writer: number
  }
  /** Figures from freeze to resolve. */
  statistics: IncidentStatistics
  /** What the packets in the file are; null in statistics-only mode, as there is no file. */
  traffic: Traffic | null
  /** Where, with what and by which clock it was taken. */
  custody: Custody
}

/** What `dump()` wrote. */
export interface DumpReport {
  /** Absolute path. */
  file: string
  /** Of the file. */
  format: CaptureFormat
  /** `'EN10MB'` and so on, as libpcap names them. */
  linkType: string
  /** Size of the file. */
  bytes: number
  /** Packets in the file. */
  packets: number
  /** Smallest packet time; null in an empty one. */
  from: string | null
  /** Largest packet time; null in an empty one. */
  to: string | null
}

/** A capture that an archive keeps. */
export interface ArchivedCapture {
  /** The incident's. */
  id: string
  /** Where: a path, a URL. */
  location: string
  /** Size of the capture itself. */
  bytes: number
  /** Digest of the capture itself, hexadecimal. */
  sha256: string
  /** Since when it is kept. */
  storedAt: string
  /** Until when it is kept: behind that it is refused, and goes with the next sweep. */
  retainedUntil: string
}

/** Whatever finished incidents are handed over to: an archive, or an object of the host's own. */
export interface ArchiveSink {
  /**
   * Fulfils when the capture is kept for good. A ring calls it again after a rejection, and may do so after it fulfilled: when
   * its process died before it could take note of that.
   */
  put(
    capture: { file: string; report: IncidentReport },
    options?: { signal?: AbortSignal | undefined },
  ): Promise<ArchivedCapture>
}

/** A network device that can be captured on. */
export interface Device {
  /** What `device` of the options takes. */
  name: string
  /** libpcap's; null: it has none. */
  description: string | null
  /** IPv4 and IPv6 addresses, textual. */
  addresses: string[]
  /** Whether it is switched on. */
  up: boolean
  /** Whether it is connected, too. */
  running: boolean
  /** Whether what it sends comes back to this host. */
  loopback: boolean
}

/** Events of a {@link PcapRing}. They come in a later turn than the call that caused them. */
export interface PcapRingEvents {
  /** `start()` resolved: capturing, or statistics-only. */
  start: []
  /** An interval ended. A lock-step replay waits for what the listeners return. */
  stats: [Stats]
  /** Something nobody asked for went wrong; without a listener: `process.emitWarning`. */
  warning: [PcapRingError]
  /** A rise began and its onset is kept; once a rise. */
  onset: [Onset]
  /** An incident began: `freeze()` or `capture()` took effect. */
  freeze: [Incident]
  /** Everything from before the freeze is on disk. */
  flush: [Incident, Section[]]
  /** An incident's file reached its cap; the incident goes on until it is resolved. */
  cap: [Incident, CapReason]
  /** An incident is finished: its report has its name, and its file, if it has one. */
  resolve: [Incident, IncidentReport]
  /** The archive has it: where, and until when it keeps it. May come up to 30 s after `close`. */
  archive: [IncidentReport, ArchivedCapture]
  /** A finished incident was removed, as `keep` says: the path of its capture, of its report where it had none. */
  expire: [string]
  /** The device went away; it is watched for. */
  down: [PcapRingError]
  /** The device came back. */
  up: []
  /** A replay's last packet has been counted. */
  end: []
  /** The ring itself died; open incidents end with that code, `close` follows. */
  error: [PcapRingError]
  /** The ring is closed, and everything that was open is finished. */
  close: []
}
