// What the original package says of raw pictures, for bench/classifier.py: node recipes/nsfw_original.mjs OUT
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const find = createRequire(process.cwd() + '/')
const load = (name) => import(pathToFileURL(find.resolve(name)))
const tf = (await load('@tensorflow/tfjs')).default ?? (await load('@tensorflow/tfjs'))
const core = await load('nsfwjs/core')
const { MobileNetV2MidModel } = await load('nsfwjs/models/mobilenet_v2_mid')
await tf.setBackend('cpu')
const net = await core.load('MobileNetV2Mid', { modelDefinitions: [MobileNetV2MidModel], size: 224 })

const out = process.argv[2]
const said = {}
for (const item of JSON.parse(fs.readFileSync(`${out}/items.json`))) {
  const pixels = tf.tensor3d(new Uint8Array(fs.readFileSync(`${out}/${item.file}`)), [item.h, item.w, 3], 'int32')
  const classes = await net.classify(pixels, 5)
  said[item.file] = Object.fromEntries(classes.map((one) => [one.className.toLowerCase(), one.probability]))
  pixels.dispose()
}
fs.writeFileSync(`${out}/original.json`, JSON.stringify(said))
console.log(Object.keys(said).length, 'pictures')
