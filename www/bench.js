// Defines window.bench(options): the article's network on MNIST, with the batches and first weights that every
// library it is compared with gets, so that runs can be compared loss by loss. `options.data` is the URL of a folder
// with the four unpacked IDX files. The work is Kiln's own trainer, exported by the worker's binary, in a worker as in the
// page: this module is both ends.

/** mulberry32 (Tommy Ettinger, public domain): numbers in 0 … 1 from a 32-bit seed. */
function mulberry32(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Fisher–Yates over 0 … count. */
function shuffled(count, seed) {
  const random = mulberry32(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** Batches without end: epoch e is shuffled by seed + e, a last partial batch is left out. */
function* batches(count, size, seed) {
  for (let epoch = 0; ; epoch++) {
    const order = shuffled(count, seed + epoch);
    for (let at = 0; at + size <= count; at += size) yield order.subarray(at, at + size);
  }
}

// Drawn in the common layouts: kernels [height, width, in, out], dense [in, out] with the image flattened as
// (height, width, channel); given to Kiln in its own: [out, in, height, width] and (channel, height, width).
function firstWeights(filters, seed) {
  const CONVOLUTIONS = filters.map((outputs, layer) => [layer ? filters[layer - 1] : 1, outputs]);
  const last = filters.at(-1);
  // Three pools make 3×3 pixels of 28×28.
  const DENSE = [[9 * last, 64], [64, 10]];
  const random = mulberry32(seed * 7919 + 17);
  const glorot = (count, area, inputs, outputs) => {
    const limit = Math.sqrt(6 / (area * inputs + area * outputs));
    return Float32Array.from({ length: count }, () => (random() * 2 - 1) * limit);
  };
  const parts = [];
  for (const [inputs, outputs] of CONVOLUTIONS) {
    const drawn = glorot(9 * inputs * outputs, 9, inputs, outputs);
    const kernel = new Float32Array(drawn.length);
    for (let tap = 0; tap < 9; tap++)
      for (let i = 0; i < inputs; i++)
        for (let o = 0; o < outputs; o++) kernel[(o * inputs + i) * 9 + tap] = drawn[(tap * inputs + i) * outputs + o];
    parts.push(kernel, new Float32Array(outputs));
  }
  DENSE.forEach(([inputs, outputs], layer) => {
    const drawn = glorot(inputs * outputs, 1, inputs, outputs);
    let matrix = drawn;
    if (layer === 0) {
      matrix = new Float32Array(drawn.length);
      for (let tap = 0; tap < 9; tap++)
        for (let c = 0; c < last; c++)
          matrix.set(drawn.subarray((tap * last + c) * outputs, (tap * last + c + 1) * outputs), (c * 9 + tap) * outputs);
    }
    parts.push(matrix, new Float32Array(outputs));
  });
  const flat = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (flat.set(part, at), at + part.length), 0);
  return flat;
}

async function mnist(folder) {
  const file = async (name) => {
    const response = await fetch(folder + name);
    if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const [trainX, trainY, testX, testY] = await Promise.all(
    ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'].map(file));
  return { trainX: trainX.subarray(16), trainY: trainY.subarray(8), testX: testX.subarray(16), testY: testY.subarray(8) };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? null;
// Where a driver wants to know: told to the page, which knows the driver.
const phase = (name) => self.postMessage({ phase: name });

// What a step asks of the GPU, counted at the browser's own calls.
const counts = { dispatches: 0, submits: 0, maps: 0 };
for (const [type, method, key] of [
  ['GPUComputePassEncoder', 'dispatchWorkgroups', 'dispatches'],
  ['GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', 'dispatches'],
  ['GPUQueue', 'submit', 'submits'],
  ['GPUBuffer', 'mapAsync', 'maps'],
]) {
  const prototype = globalThis[type]?.prototype;
  const original = prototype?.[method];
  if (original) prototype[method] = function (...args) { counts[key]++; return original.apply(this, args); };
}

async function accuracy(bench, data, count) {
  let right = 0;
  for (let at = 0; at < count; at += 250) {
    const size = Math.min(250, count - at);
    const logits = await bench.infer(data.testX.subarray(at * 784, (at + size) * 784), size);
    for (let i = 0; i < size; i++) {
      const row = logits.subarray(i * 10, i * 10 + 10);
      if (row.indexOf(Math.max(...row)) === data.testY[at + i]) right++;
    }
  }
  return right / count;
}

// The page's own choice (src/page/device.rs): with relaxed SIMD where the browser has it, unless `simd` says `plain`.
function cpuWorker(simd) {
  const relaxed = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 16, 1, 14, 0,
    65, 0, 253, 15, 65, 0, 253, 15, 253, 128, 2, 26, 11];
  const has = simd !== 'plain' && WebAssembly.validate(new Uint8Array(relaxed));
  return has ? 'worker_cpu_relaxed' : 'worker_cpu';
}

async function measure(options) {
  const o = { steps: 30, batch: 128, warmup: 5, seed: 1, lr: 0.001, device: 'cpu', workers: 1,
    filters: [32, 64, 64, 64], budgetS: 120, evalEvery: 50,
    evalN: 2000, maxSteps: 2000, ...options };
  const result = { ok: false, backend: `kiln ${o.device}`, batch: o.batch, steps: 0, threads: 1 };
  try {
    const data = await mnist(o.data);
    const weights = firstWeights(o.filters, o.seed);
    const source = batches(data.trainY.length, o.batch, o.seed);
    await phase('load');
    const start = performance.now();
    const worker = o.device === 'webgpu' ? 'worker_gpu' : cpuWorker(o.simd);
    result.backend += ` ${worker}`;
    const module = await import(`./${worker}.js`);
    const { memory } = await module.default();
    const bench = await module.Bench.open(o.device, Uint32Array.from(o.filters), weights, data.trainX, data.trainY,
      o.workers, new URL(`${worker}_loader.js`, import.meta.url).href);
    result.threads = bench.workers;
    const step = (read) => bench.step(source.next().value, o.lr, read);
    result.loss_first = await step(true);
    result.warmup_ms = performance.now() - start;
    result.loss_last = result.loss_first;
    const begin = performance.now();
    const over = () => performance.now() - begin > o.budgetS * 1000;
    if (o.toAccuracy) {
      result.mode = 'to-accuracy';
      let evaluating = 0;
      for (let steps = 2; steps <= o.maxSteps && !over(); steps++) {
        result.loss_last = await step(true);
        result.steps = steps;
        if (steps % o.evalEvery) continue;
        const before = performance.now();
        result.accuracy_last = await accuracy(bench, data, o.evalN);
        evaluating += performance.now() - before;
        if (result.accuracy_last >= o.toAccuracy) { result.reached = true; break; }
      }
      result.reached ??= false;
      result.steps_to_accuracy = result.steps;
      result.seconds_to_accuracy = (performance.now() - begin - evaluating) / 1000;
    } else {
      for (let i = 1; i < o.warmup && !over(); i++) await step(true);
      const times = [];
      await phase('steady');
      const from = { ...counts };
      const bytes = memory.buffer.byteLength;
      for (let i = 0; i < o.steps && !over(); i++) {
        const before = performance.now();
        result.loss_last = await step(true);
        times.push(performance.now() - before);
      }
      await phase('steady_end');
      result.steps = times.length;
      result.step_ms_median = median(times);
      result.images_per_s = (1000 * o.batch) / result.step_ms_median;
      // It never shrinks; what a long run adds is a leak.
      result.memory_bytes = memory.buffer.byteLength;
      result.memory_grown_bytes = memory.buffer.byteLength - bytes;
      if (o.device === 'webgpu')
        for (const key of Object.keys(counts)) result[`gpu_${key}_per_step`] = (counts[key] - from[key]) / times.length;
    }
    if (o.parts) {
      // What else a run does: a batch's augmentation, and an epoch of fine-tuning with the convolutions frozen.
      const taken = [];
      for (let i = 0; i < 50; i++) {
        const indices = source.next().value;
        const before = performance.now();
        for (let again = 0; again < 10; again++) bench.augment(indices);
        taken.push((performance.now() - before) / 10);
      }
      result.augment_ms = median(taken);
      [result.features_ms, result.frozen_epoch_ms] = await bench.frozen(10000);
      result.whole_epoch_ms = (result.step_ms_median * 10000) / o.batch;
    }
    if (!o.noInfer) {
      const timed = async (size, times) => {
        const taken = [];
        for (let i = 0; i < times; i++) {
          const before = performance.now();
          await bench.infer(data.testX.subarray(0, size * 784), size);
          taken.push(performance.now() - before);
        }
        return median(taken);
      };
      result.infer_images_per_s = (1000 * 256) / (await timed(256, 7));
      result.single_infer_ms = await timed(1, 20);
    }
    result.ok = Number.isFinite(result.loss_last);
  } catch (error) {
    result.error = String(error?.message ?? error);
  }
  return result;
}

if (globalThis.document) {
  window.bench = (options) => new Promise((resolve) => {
    const worker = new Worker(import.meta.url, { type: 'module', name: 'bench' });
    const end = (result) => { worker.terminate(); resolve(result); };
    worker.onmessage = ({ data }) => data.phase ? globalThis.__phase?.(data.phase) : end(data);
    worker.onerror = (event) => end({ ok: false, error: event.message || 'the worker can not be loaded' });
    worker.postMessage({ ...options, data: new URL(options.data, document.baseURI).href });
  });
  // `#steps=30&batch=128`: a program that only opens this page asks this way, and is told as a path.
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.size) {
    const value = (text) =>
      /^[0-9.]+$/.test(text) ? Number(text) : /^[0-9]+,/.test(text) ? text.split(',').map(Number) : text;
    const result = await window.bench(Object.fromEntries([...asked].map(([name, text]) => [name, value(text)])));
    await fetch(`bench-result/${new URLSearchParams(result)}`);
  }
} else {
  self.onmessage = async ({ data }) => self.postMessage(await measure(data));
}
