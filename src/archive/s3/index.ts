export { PcapRingError, type PcapRingErrorCode } from '../../errors.js'
export type * from '../types.js'
export { S3Archive, type S3ArchiveOptions, type S3Progress } from './s3-archive.js'
