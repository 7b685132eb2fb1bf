// All that is used of d3. `npm run build` bundles it into this module, as d3 is ES modules only and no dependency of ours.

export { scaleLinear } from 'd3-scale'
export { area, curveStepAfter, stack } from 'd3-shape'
