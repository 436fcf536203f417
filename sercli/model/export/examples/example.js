// Predict the emotion in a recording with ONNX Runtime: node example.js CLIP.wav
//
// Needs onnxruntime-node (npm install onnxruntime-node). The clip is one utterance of up to 15 s; other formats become
// a WAV by `ffmpeg -i CLIP -ac 1 -ar 16000 -sample_fmt s16 CLIP.wav`.
const fs = require("node:fs");
const path = require("node:path");
const ort = require("onnxruntime-node");

const about = JSON.parse(fs.readFileSync(path.join(__dirname, "model.json"), "utf8"));

/** The samples of a 16-bit mono WAV, in [-1, 1]. */
function read(name) {
  const bytes = fs.readFileSync(name);
  let at = 12; // behind "RIFF", the size and "WAVE"
  for (; bytes.toString("latin1", at, at + 4) !== "data"; at += 8 + bytes.readUInt32LE(at + 4)) {
    if (bytes.toString("latin1", at, at + 4) !== "fmt ") continue;
    const [channels, rate, bits] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 12), bytes.readUInt16LE(at + 22)];
    if (channels !== 1 || rate !== about.sample_rate_hz || bits !== 16) throw `${name} is not 16-bit mono at 16000 Hz`;
  }
  const samples = new Float32Array(bytes.readUInt32LE(at + 4) / 2);
  return samples.map((_, n) => bytes.readInt16LE(at + 8 + 2 * n) / 32768);
}

async function main(name) {
  const samples = read(name);
  const seconds = samples.length / about.sample_rate_hz;
  if (seconds < about.shortest_s || seconds > about.longest_s) throw `${name} lasts ${seconds} s; cut it first`;
  const session = await ort.InferenceSession.create(path.join(__dirname, "model.onnx")); // or model-int8.onnx
  const found = await session.run({ samples: new ort.Tensor("float32", samples, [samples.length]) });
  if (found.speech.data[0] === 0) return console.log("no speech");
  about.labels.forEach((label, k) => console.log(label, found.probabilities.data[k].toFixed(6)));
}

main(process.argv[2]).catch((error) => {
  console.error(String(error));
  process.exit(1);
});
