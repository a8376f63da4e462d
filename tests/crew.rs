//! A step in slices: whoever computes them and however many they are, the step is the same.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use common::{drawn, drive, losses, small_session, start};
use kiln::device::read;
use kiln::model::{Network, NetworkConfig};
use kiln::protocol::{Command, Event};
use kiln::training::RunConfig;
use kiln::training::crew::{Alone, Answer, Crew, Team, Work};
use kiln::training::slice::{self, Part};
use kiln::training::trainer::{Batch, Trainer};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Helpers that compute what a helper's worker does, when their answer is waited for. The one at `dies` gives its
/// first answers and then dies.
struct Helpers {
    count: usize,
    dies: Rc<Cell<Option<(usize, u32)>>>,
    asked: Rc<Cell<u32>>,
}

impl Helpers {
    fn new(count: usize) -> Self {
        Self { count, dies: Rc::default(), asked: Rc::default() }
    }
}

impl Crew for Helpers {
    fn len(&self) -> usize {
        self.count
    }

    fn compute(&mut self, index: usize, work: Work) -> Answer {
        self.asked.set(self.asked.get() + 1);
        if let Some((of, left)) = self.dies.get()
            && of == index
        {
            if left == 0 {
                self.dies.set(None);
                self.count -= 1;
                return Box::pin(async { None });
            }
            self.dies.set(Some((of, left - 1)));
        }
        Box::pin(async move {
            let (Work { job, weights, first, slices }, device) = (work, Device::flex().autodiff());
            let network = Network::from_values(&job.network, &weights, &device).unwrap().train();
            Some(slice::help(&network, &job, first, &slices, &device).await.unwrap())
        })
    }
}

fn config() -> RunConfig {
    RunConfig { epochs: 2, batch_size: 32, train_size: 64, seed: 7, ..RunConfig::default() }
}

/// The losses of a run in a session with that many workers, and how often a helper was asked.
async fn run_with(config: &RunConfig, workers: usize) -> (Vec<f32>, u32) {
    let helpers = Helpers::new(workers - 1);
    let asked = helpers.asked.clone();
    let mut session = small_session().with_crew(helpers);
    session.handle(start(1, config));
    (losses(&drive(&mut session).await), asked.get())
}

both! {
    async fn losses_are_the_same_to_the_last_bit_by_one_two_three_and_four_workers() {
        let dropping = RunConfig {
            network: NetworkConfig { dropout: 0.3, ..NetworkConfig::default() },
            label_smoothing: 0.1,
            ..config()
        };
        for config in [config(), dropping] {
            let (alone, _) = run_with(&config, 1).await;
            assert_eq!(alone.len(), 4);
            for workers in 2..=4 {
                let (together, asked) = run_with(&config, workers).await;
                assert_eq!(together, alone, "{workers} workers");
                assert!(asked > 0, "{workers} workers, and no helper had anything to do");
            }
        }
    }

    async fn a_helper_that_dies_costs_its_answer_and_not_the_run() {
        let (alone, _) = run_with(&config(), 1).await;
        let helpers = Helpers::new(3);
        helpers.dies.set(Some((1, 2)));
        let (dies, asked) = (helpers.dies.clone(), helpers.asked.clone());
        let mut session = small_session().with_crew(helpers);
        session.handle(start(1, &config()));
        assert_eq!(losses(&drive(&mut session).await), alone);
        assert_eq!(dies.get(), None, "it has died");
        // Three steps with three of them, the last with the two that are left.
        assert!(asked.get() >= 9, "{}", asked.get());
    }

    async fn a_step_in_slices_is_the_step_of_the_whole_batch_up_to_rounding() {
        let device = Device::flex();
        let images = drawn(40, 3);
        let network = || Network::new(&config().network, 4, &device.clone().autodiff()).unwrap();
        let (mut whole, mut sliced) =
            (Trainer::new(network(), &config(), &device), Trainer::new(network(), &config(), &device));
        assert!(sliced.can_slice());
        let mut team = Team::new(Alone);
        for _ in 0..3 {
            let expected = whole.step(Batch::of(&images, 10, whole.device()), 1e-3);
            let found = sliced.step_in_slices(&images, 1e-3, &mut team).await.unwrap();
            let [expected, found] = <[Vec<f32>; 2]>::try_from(read(vec![expected, found]).await.unwrap()).unwrap();
            assert!((expected[0] - found[0]).abs() < 1e-5, "{expected:?} {found:?}");
            assert_eq!(expected[1], found[1]);
        }
    }

    async fn a_step_by_eight_is_the_step_of_one_to_the_last_bit() {
        let device = Device::flex();
        let images = drawn(130, 3);
        let network = NetworkConfig { dropout: 0.3, ..NetworkConfig::default() };
        let config = RunConfig { network, ..config() };
        let mut steps = Vec::new();
        // How many helpers, and how slow the first of them is said to be.
        for (helpers, slow) in [(0, 1), (1, 1), (1, 9), (2, 1), (2, 3), (7, 1)] {
            let crew = Helpers::new(helpers);
            let asked = crew.asked.clone();
            let network = Network::new(&config.network, 4, &device.clone().autodiff()).unwrap();
            let (mut trainer, mut team) = (Trainer::new(network, &config, &device), Team::new(crew));
            team.ask_for(Some(helpers + 1));
            for worker in 0..=helpers {
                let millis = if worker == 1 { slow * 1_000_000 } else { 1_000_000 };
                team.computed(worker, 16, Duration::from_millis(millis));
            }
            let even = team.shares(8, helpers + 1).iter().all(|share| share.len().abs_diff(8 / (helpers + 1)) < 2);
            assert_eq!(even, slow == 1);
            let mut told = Vec::new();
            for _ in 0..3 {
                told.push(trainer.step_in_slices(&images, 1e-3, &mut team).await.unwrap());
            }
            assert_eq!(asked.get(), 3 * helpers as u32);
            steps.push(read(told).await.unwrap());
        }
        assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
    }

    async fn with_batch_norm_the_batch_stays_whole() {
        let network = NetworkConfig { batch_norm: true, ..NetworkConfig::default() };
        let config = RunConfig { network, ..config() };
        let (alone, _) = run_with(&config, 1).await;
        let (together, asked) = run_with(&config, 4).await;
        assert_eq!((together, asked), (alone, 0));
    }
}

#[test]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn a_batch_is_cut_by_its_length_alone_and_every_image_is_in_one_slice() {
    for len in 1..600 {
        let slices = slice::slices(len);
        assert!(slices.len().is_power_of_two() && slices.len() <= slice::MOST);
        assert_eq!(slices.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
        let lens = || slices.iter().map(ExactSizeIterator::len);
        assert!(lens().max().unwrap() - lens().min().unwrap() <= 1);
    }
    assert_eq!(slice::slices(128).len(), 8);
    assert_eq!(slice::slices(127).len(), 4);
    assert_eq!(slice::slices(15).len(), 1);
}

#[test]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn parts_are_added_neighbours_first() {
    let sum = |values: [f32; 4]| {
        let mut parts = Vec::new();
        for (first, loss) in (0..).zip(values) {
            slice::add(
                &mut parts,
                Part { first, slices: 1, loss, correct: 1.0, gradients: vec![vec![loss], vec![-loss]] },
            );
        }
        assert_eq!(parts.len(), 1);
        parts.remove(0)
    };
    // In f32, 1 is lost beside 2^25, but twice 1 beside 2^24 is not.
    let (big, one) = (16_777_216.0f32, 1.0f32);
    let Part { first, slices, loss, correct, gradients } = sum([big, -big, one, one]);
    assert_eq!((first, slices, loss, correct, gradients), (0, 4, 2.0, 4.0, vec![vec![2.0], vec![-2.0]]));
    assert_eq!(sum([big, one, one, -big]).loss, (big + one) + (one - big));
    // Halves alone are added: of the slices 1, 2 and 3 the last two.
    let mut parts = Vec::new();
    (1..4).for_each(|first| slice::add(&mut parts, Part { first, slices: 1, ..Part::default() }));
    assert_eq!(parts.iter().map(|part| (part.first, part.slices)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
}

#[test]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn the_count_of_workers_that_was_fastest_is_kept_and_a_users_own_choice_comes_first() {
    let steps = RefCell::new(Vec::new());
    let mut team = Team::new(Helpers::new(7));
    let step = |team: &mut Team| {
        let workers = team.workers(4);
        steps.borrow_mut().push(workers);
        // Two are best here; a third one only gets in the way.
        team.took(workers, Duration::from_millis([0, 40, 22, 60, 30][workers]));
        workers
    };
    for _ in 0..40 {
        step(&mut team);
    }
    assert_eq!(step(&mut team), 2);
    // Three workers have as much to do in the longest share as two.
    let mut tried = steps.borrow().clone();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried, [1, 2, 4]);
    team.ask_for(Some(3));
    assert_eq!(team.workers(4), 3);
    team.ask_for(Some(9));
    assert_eq!(team.workers(4), 4);
    assert_eq!(team.workers(1), 1);
}

#[test]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn who_is_slow_gets_fewer_slices_and_never_none() {
    let mut team = Team::new(Alone);
    let counts = |team: &Team, workers: usize| {
        let shares = team.shares(8, workers);
        assert_eq!(shares.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>(), "each once");
        shares.iter().map(ExactSizeIterator::len).collect::<Vec<_>>()
    };
    let millis = Duration::from_millis;
    assert_eq!((counts(&team, 1), counts(&team, 2), counts(&team, 3)), (vec![8], vec![4, 4], vec![3, 3, 2]));
    team.computed(0, 4, millis(20));
    assert_eq!(counts(&team, 2), [4, 4], "of the other nothing is known");
    team.computed(1, 4, millis(22));
    assert_eq!(counts(&team, 2), [4, 4], "a slice fewer would be too few");
    team.computed(1, 4, millis(400));
    assert_eq!(counts(&team, 2), [4, 4], "it was held up once");
    for _ in 0..30 {
        team.computed(1, 4, millis(38));
    }
    assert_eq!((counts(&team, 2), counts(&team, 3)), (vec![5, 3], vec![4, 2, 2]));
    for _ in 0..30 {
        team.computed(1, 1, millis(900));
    }
    assert_eq!(counts(&team, 2), [7, 1]);
    for _ in 0..30 {
        team.computed(1, 1, millis(5));
        team.computed(0, 7, millis(70));
    }
    assert_eq!(counts(&team, 2), [3, 5], "it recovered");
    assert_eq!(counts(&team, 8), [1; 8]);
}

both! {
    async fn a_session_tells_how_many_work_once_it_is_known_and_follows_a_users_choice() {
        let mut session = small_session().with_crew(Helpers::new(1));
        assert_eq!(session.handle(Command::UseWorkers { count: Some(1) }), [Event::Workers { count: 1 }]);
        assert_eq!(session.handle(Command::UseWorkers { count: Some(1) }), []);
        assert_eq!(session.handle(Command::UseWorkers { count: None }), []);
        session.handle(start(1, &RunConfig { epochs: 8, ..config() }));
        let told: Vec<u8> = drive(&mut session)
            .await
            .into_iter()
            .filter_map(|event| match event {
                Event::Workers { count } => Some(count),
                _ => None,
            })
            .collect();
        assert!(told.len() <= 1, "{told:?}");
        assert!(told.iter().all(|count| (1..=2).contains(count)), "{told:?}");
    }
}
