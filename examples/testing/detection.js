// A host's own detection: three intervals in a row at ten times what the first second had.
'use strict'

exports.Detection = class Detection {
  #calm = null
  #seen = []
  #high = 0

  /** What a ring's `stats` say; true once it is an attack. */
  judge({ inbound }) {
    if (this.#calm === null) {
      this.#seen.push(inbound.pps)
      if (this.#seen.length === 4) this.#calm = this.#seen.reduce((sum, pps) => sum + pps) / 4
      return false
    }
    this.#high = inbound.pps >= 10 * this.#calm ? this.#high + 1 : 0
    return this.#high >= 3
  }
}

/** Freezes the ring at an attack. */
exports.guard = function guard(ring, detection = new exports.Detection()) {
  ring.on('stats', (stats) => {
    if (detection.judge(stats) && ring.incidents.length === 0) ring.freeze({ reason: 'ten times the calm' })
  })
}
