// The four parts of an incident, as people speak of it, and the sections that they are made of.

export type Part = 'PRE' | 'ONSET' | 'ATTACK' | 'END' | 'CAPTURE' | 'RECORDING' | 'COUNTED'

const parts: Readonly<Record<string, Part>> = {
  history: 'PRE',
  'pre-buffer': 'PRE',
  onset: 'ONSET',
  attack: 'ATTACK',
  resolution: 'END',
  capture: 'CAPTURE',
  recording: 'RECORDING',
}

export const partOf = (section: string): Part => parts[section] ?? 'RECORDING'

export const meanings: Readonly<Record<Part, string>> = {
  PRE: 'before the attack',
  ONSET: 'its first packets, and the newest before the freeze',
  ATTACK: 'from the freeze on',
  END: 'after it was resolved',
  CAPTURE: 'recorded on demand',
  RECORDING: 'the whole recording',
  COUNTED: 'counted, not recorded',
}
