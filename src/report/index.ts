export { render } from './render.js'
export { summarize } from './summarize.js'
export type { AnyReport, RecordingReport, RenderOptions } from './types.js'
