// A screenshot as an indexed PNG: of a page there are few colours, and a third of the bytes.
import { crc32, deflateSync, inflateSync } from 'node:zlib'

const COLOURS = 256

/** @param png of eight bits, RGB or RGBA, as a browser takes it @returns one of 256 colours, the likeliest ones */
export function smallPng(png) {
  const { width, height, channels, data } = decode(png)
  const counts = new Map()
  const keyAt = (at) => (data[at] << 16) | (data[at + 1] << 8) | data[at + 2]
  for (let at = 0; at < data.length; at += channels) counts.set(keyAt(at), (counts.get(keyAt(at)) ?? 0) + 1)
  const palette = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, COLOURS)
    .map(([key]) => key)
  const index = new Map(palette.map((key, place) => [key, place]))
  const rows = Buffer.alloc(height * (width + 1))
  for (let pixel = 0; pixel < width * height; pixel++) {
    const key = keyAt(pixel * channels)
    if (!index.has(key)) index.set(key, nearest(palette, key))
    rows[pixel + Math.floor(pixel / width) + 1] = index.get(key)
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 3, 0, 0, 0], 8)
  const colours = Buffer.from(palette.flatMap((key) => [key >> 16, (key >> 8) & 255, key & 255]))
  const parts = [
    chunk('IHDR', head),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]
  return Buffer.concat([png.subarray(0, 8), ...parts])
}

function nearest(palette, key) {
  const [red, green, blue] = [key >> 16, (key >> 8) & 255, key & 255]
  const away = palette.map(
    (one) => (red - (one >> 16)) ** 2 + (green - ((one >> 8) & 255)) ** 2 + (blue - (one & 255)) ** 2,
  )
  return away.indexOf(Math.min(...away))
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}

/** PNG (third edition), 9: each line says how it was filtered. */
function decode(png) {
  const width = png.readUInt32BE(16)
  const height = png.readUInt32BE(20)
  const channels = png[25] === 6 ? 4 : 3
  const packed = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      packed.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
  const raw = inflateSync(Buffer.concat(packed))
  const stride = width * channels
  const data = Buffer.alloc(height * stride)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : data[y * stride + x - channels]
      const up = y === 0 ? 0 : data[(y - 1) * stride + x]
      const corner = y === 0 || x < channels ? 0 : data[(y - 1) * stride + x - channels]
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]
      data[y * stride + x] = raw[y * (stride + 1) + 1 + x] + guess
    }
  }
  return { width, height, channels, data }
}

function paeth(left, up, corner) {
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(left + up - corner - value))
  return a <= b && a <= c ? left : b <= c ? up : corner
}
