// Pixels of the pictures that Chromium takes: PNG of eight bits a channel, not interlaced.

import { inflateSync } from 'node:zlib'

export interface Box {
  left: number
  top: number
  width: number
  height: number
}

export interface Picture {
  /** How many of the pixels that lie wholly in a box have a colour: `'rgb(1, 2, 3)'`, as style sheets say it. */
  count(colour: string, box: Box): { found: number; of: number }
}

export function pictureOf(png: Buffer): Picture {
  const width = png.readUInt32BE(16)
  const height = png.readUInt32BE(20)
  const channels = { 2: 3, 6: 4 }[png[25] as number]
  if (png[24] !== 8 || channels === undefined || png[28] !== 0) throw new Error('not a PNG of the kind that is known')
  const data: Buffer[] = []
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') data.push(png.subarray(at + 8, at + 8 + length))
    at += length + 12
  }
  const stride = width * channels
  const pixels = unfiltered(inflateSync(Buffer.concat(data)), stride, height, channels)
  return {
    count: (colour, box) => {
      const [red, green, blue] = (colour.match(/\d+/g) ?? []).map(Number)
      let found = 0
      let of = 0
      for (let y = Math.ceil(box.top); y < Math.floor(box.top + box.height); y++) {
        for (let x = Math.ceil(box.left); x < Math.floor(box.left + box.width); x++) {
          const at = y * stride + x * channels
          if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue) found++
          of++
        }
      }
      return { found, of }
    },
  }
}

/** Each row begins with how its bytes were made of those to the left and above. */
function unfiltered(raw: Buffer, stride: number, height: number, channels: number): Buffer {
  const pixels = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x
      const left = x < channels ? 0 : (pixels[at - channels] as number)
      const up = y === 0 ? 0 : (pixels[at - stride] as number)
      const corner = x < channels || y === 0 ? 0 : (pixels[at - stride - channels] as number)
      const guess = guessed(filter, left, up, corner)
      pixels[at] = (raw[y * (stride + 1) + 1 + x] as number) + guess
    }
  }
  return pixels
}

function guessed(filter: number | undefined, left: number, up: number, corner: number): number {
  if (filter === 0) return 0
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return (left + up) >> 1
  // The one of the three that is nearest to left + up - corner.
  const guess = left + up - corner
  const a = Math.abs(guess - left)
  const b = Math.abs(guess - up)
  const c = Math.abs(guess - corner)
  return a <= b && a <= c ? left : b <= c ? up : corner
}
