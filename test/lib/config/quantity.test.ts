import t from 'tap'
import { bytesText, durationText, parseBytes, parseDuration } from '../../../lib/config/quantity.ts'

t.test('parseDuration() reads spans with units, and bare numbers as seconds', async (t) => {
  const rows: [unknown, number | undefined][] = [
    ['500ms', 500],
    ['30s', 30_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1.5s', 1_500],
    [' 5 s ', 5_000],
    ['30', 30_000],
    [30, 30_000],
    [0.25, 250],
    [0, 0],
    [-1, undefined],
    ['-1s', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    ['', undefined],
    ['s', undefined],
    ['1e3', undefined],
    ['5 minutes', undefined],
    ['1h30m', undefined],
    [null, undefined],
    [true, undefined],
  ]
  for (const [input, span] of rows) t.equal(parseDuration(input), span, String(input))
})

t.test('durationText() writes what parseDuration() reads', async (t) => {
  t.equal(durationText(0), '0s')
  for (const [span, text] of [
    [1, '1ms'],
    [1_500, '1500ms'],
    [30_000, '30s'],
    [90_000, '90s'],
    [120_000, '2m'],
    [3_600_000, '1h'],
    [172_800_000, '2d'],
  ] as const) {
    t.equal(durationText(span), text)
    t.equal(parseDuration(text), span)
  }
})

t.test('parseBytes() reads sizes and refuses units that mean two things', async (t) => {
  const rows: [unknown, number | undefined][] = [
    [65536, 65536],
    ['65536', 65536],
    ['64KiB', 65536],
    ['64k', 65536],
    ['1 MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
    ['10b', 10],
    ['64kB', undefined],
    ['64KB', undefined],
    ['1.5MiB', undefined],
    [1.5, undefined],
    [-1, undefined],
    ['', undefined],
    ['9007199254740993', undefined],
    [null, undefined],
  ]
  for (const [input, size] of rows) t.equal(parseBytes(input), size, String(input))
})

t.test('bytesText() writes what parseBytes() reads', async (t) => {
  for (const [size, text] of [
    [0, '0'],
    [1000, '1000'],
    [65536, '64KiB'],
    [1_048_576, '1MiB'],
    [1_073_741_824, '1GiB'],
  ] as const) {
    t.equal(bytesText(size), text)
    t.equal(parseBytes(text), size)
  }
})
