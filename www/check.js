// Whether this browser can run Kiln at all. The page's own binary needs WebAssembly SIMD, so it can't find that out
// itself: this file is plain JavaScript on purpose, and does nothing where all is well.
(() => {
  // The smallest module with a SIMD instruction: i32.const 0, i8x16.splat, drop.
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11];
  const moduleWorkers = () => {
    let asked = false;
    try {
      // The getter is only read by a browser that knows module workers.
      new Worker('blob://', { get type() { asked = true; return 'module'; } }).terminate();
    } catch { /* a policy may forbid this worker; the option was read or not by then */ }
    return asked;
  };
  const missing = [];
  if (typeof WebAssembly !== 'object' || !WebAssembly.validate(new Uint8Array(simd))) missing.push('WebAssembly SIMD');
  if (!moduleWorkers()) missing.push('module workers');
  if (!missing.length) return;

  const find = (testid) => document.querySelector(`[data-testid=${testid}]`);
  document.documentElement.dataset.state = 'failed';
  const status = find('status');
  status.dataset.state = 'failed';
  status.dataset.detail = 'unsupported';
  status.querySelector('h1').textContent = "This browser can't run Kiln.";
  status.querySelector('.sub').textContent =
    'It needs WebAssembly SIMD and module workers: Chrome, Edge, Firefox or Safari from 2023 on.';
  find('device').textContent = 'unsupported browser';
  find('train').hidden = true;
  const panel = document.createElement('div');
  panel.className = 'panel';
  panel.dataset.testid = 'error';
  panel.dataset.kind = 'unsupported';
  panel.setAttribute('role', 'alert');
  const heading = document.createElement('h2');
  heading.textContent = `Missing: ${missing.join(' and ')}`;
  const why = document.createElement('p');
  why.textContent = 'Open this address in a newer browser.';
  const acts = document.createElement('div');
  acts.className = 'acts';
  const copy = document.createElement('button');
  copy.className = 'btn primary';
  copy.dataset.testid = 'copy-address';
  copy.textContent = 'Copy the address';
  copy.addEventListener('click', () => navigator.clipboard && navigator.clipboard.writeText(location.href));
  acts.append(copy);
  panel.append(heading, why, acts);
  document.querySelector('.recipebox').replaceWith(panel);
  window.kilnUnsupported = true;
})();
