// What the page shows at one moment, read in one go so that its parts belong together.
const find = (id) => document.querySelector(`[data-testid="${id}"]`);
const text = (id) => find(id)?.textContent.replace(/\s+/g, ' ').trim() ?? '';
const points = (id) => Number(find(id)?.dataset.points ?? 0);
const enabled = [...document.querySelectorAll('button[data-testid]')]
  .filter((button) => !button.disabled && button.ariaDisabled !== 'true' && button.checkVisibility({ visibilityProperty: true }))
  .map((button) => button.dataset.testid);
return {
  state: find('status')?.dataset.state ?? '',
  detail: find('status')?.dataset.detail ?? '',
  status: text('status'),
  device: text('device'),
  error: text('error'),
  error_kind: find('error')?.dataset.kind ?? '',
  progress: text('progress'),
  loss_points: points('chart-loss'),
  accuracy_points: points('chart-accuracy'),
  test_accuracy: text('test-accuracy'),
  prediction: text('prediction'),
  announcer: text('announcer'),
  notes: [...document.querySelectorAll('[data-testid=note]')].map((note) => note.textContent),
  enabled,
};
