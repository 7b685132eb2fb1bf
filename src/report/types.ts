import type { IncidentReport, Traffic } from '../types.js'

/** What a recording says of itself, where no report of ours came with it: an incident's report as far as that is known. */
export interface RecordingReport {
  /** Of this format. */
  version: 1
  /** Tells it from an incident's. */
  kind: 'recording'
  /** The file's name without its ending. */
  id: string
  /** Absolute path. */
  file: string
  /** null: neither of the two, or too short to tell. */
  format: 'pcap' | 'pcapng' | null
  /** Every link type that the file declares, in order of appearance. */
  linkTypes: {
    /** `'EN10MB'` and so on, as libpcap names them. */
    name: string
    /** Packets of it. */
    packets: number
  }[]
  /** Size of the file. */
  bytes: number
  /** Those that could be read, as all that follows but `sha256`. */
  packets: number
  /** Of the whole file, hexadecimal. */
  sha256: string
  /** Where it ends and why, if it is damaged. */
  error: string | null
  /** Smallest packet time; null where no packet has one. */
  from: string | null
  /** Largest packet time; null where no packet has one. */
  to: string | null
  /** From the smallest time to the largest, ms. */
  duration: number | null
  /** One, or none where there are no packets with a time. */
  sections: {
    /** Which it is. */
    name: 'recording'
    /** Packets in it. */
    packets: number
    /** Sum of original lengths. */
    bytes: number
    /** Smallest packet time. */
    from: string
    /** Largest packet time. */
    to: string
    /** Its first packet in the file, counted from 1. */
    firstFrame: number
    /** Its last packet in the file. */
    lastFrame: number
    /** Nothing is known of it. */
    sampling: null
  }[]
  /**
   * As an incident's. Addresses are exact up to 262,144 on a side; beyond, `count` is how many there are at least, and `top` is
   * too low by at most one 131,072th of the packets. Packets without a time are left out of `timeline`.
   */
  traffic: Omit<Traffic, 'timeline'> & {
    /** At most 600 slots, as an incident's. */
    timeline: {
      /** When the slot began. */
      at: string
      /** Packets in it. */
      packets: number
      /** Sum of original lengths. */
      bytes: number
      /** The one section. */
      section: 'recording'
    }[]
  }
}

/** What {@link render} takes. */
export type AnyReport = IncidentReport | RecordingReport

/** Options of {@link render}. */
export interface RenderOptions {
  /**
   * `'html'`: one page that needs nothing else; `'markdown'`; `'json'`, indented.
   * @default 'html'
   */
  format?: 'html' | 'markdown' | 'json' | undefined
}
