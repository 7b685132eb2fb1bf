export { FloodDetector, type FloodDetectorEvents } from './flood-detector.js'
export type * from './types.js'
