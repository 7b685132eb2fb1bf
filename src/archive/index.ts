export { PcapRingError, type PcapRingErrorCode } from '../errors.js'
export { LocalArchive, type LocalArchiveOptions } from './local-archive.js'
export type * from './types.js'
