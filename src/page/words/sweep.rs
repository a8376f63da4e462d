//! What the page says of tuning.

use super::{Lang, count, percent};
use crate::page::settings::Field;
use crate::page::state::sweep::{Busy, Tuning, Wrong};
use crate::training::config::EPOCHS;
use crate::training::sweep::{MAX_VALUES, RUNS, Search, Setting, SweepConfig, SweepError, Trial, TrialState};
use crate::training::{RunConfig, Score};

words! {
    tuning: "Sweep", "调参";
    tuning_effect: "Tries other settings in short runs, one after another, and compares them on the digits kept aside. \
         The test digits stay unseen.", "用几次短训练依次尝试别的设置，在留出的数字上比较。测试用的数字始终不看。";
    search: "Search", "搜索方式";
    sweep_runs: "Runs, at most", "最多几次";
    sweep_runs_effect: "Hopeless ones are stopped early", "没有希望的会提前停止";
    sweep_epochs: "Epochs a run", "每次几轮";
    sweep_epochs_effect: "Enough to tell good from bad", "足以分出好坏即可";
    sweep_seed: "Seed", "种子";
    sweep_seed_effect: "The same seed draws the same settings", "同样的种子，取同样的设置";
    sweep_start: "Start the sweep", "开始调参";
    sweep_stop: "Stop the sweep", "停止调参";
    use_best: "Use the best settings", "采用最好的设置";
    sweep_caption: "The runs of the sweep", "调参的各次训练";
    column_run: "Run", "序号";
    column_score: "Unseen digits read", "没见过的数字";
    column_epochs: "Epochs", "轮数";
    column_time: "Time", "用时";
    column_state: "State", "状态";
    best_mark: "best", "最好";
}

impl Lang {
    /// The group's one-line summary.
    pub(in crate::page) fn tuning_summary(self, tuning: &Tuning) -> String {
        let (done, all) = (tuning.done(), tuning.trials().len());
        match all {
            0 => pick!(self, "off", "关").into(),
            _ => pick!(self, format!("{done} of {all} runs"), format!("{all} 次中的 {done} 次")),
        }
    }

    /// One of the two searches.
    pub(in crate::page) fn search_name(self, search: Search) -> &'static str {
        match search {
            Search::Grid => pick!(self, "Grid", "网格"),
            Search::Random => pick!(self, "Random", "随机"),
        }
    }

    /// What a search does with the values.
    pub(in crate::page) fn search_effect(self, search: Search) -> &'static str {
        match search {
            Search::Grid => pick!(self, "Every combination of the values", "尝试各值的每种组合"),
            Search::Random => pick!(
                self,
                "Draws between the smallest and the largest of the values; of batch sizes it picks one",
                "在最小值和最大值之间随机取值；批大小从所列的值中选",
            ),
        }
    }

    /// A setting's name.
    pub(in crate::page) fn setting(self, setting: Setting) -> &'static str {
        match setting {
            Setting::LearningRate => self.field(Field::LearningRate),
            Setting::BatchSize => self.field(Field::BatchSize),
            Setting::WeightDecay => self.field(Field::WeightDecay),
            Setting::Dropout => self.field(Field::Dropout),
            Setting::Augmentation => self.augmentation(),
        }
    }

    /// Under a setting's name.
    pub(in crate::page) fn values_effect(self, setting: Setting, recipe: &RunConfig) -> String {
        let present = match setting.get(recipe) {
            Some(present) => present.to_string(),
            None => pick!(self, "as in the recipe", "同配方").into(),
        };
        if setting == Setting::Augmentation {
            return pick!(
                self,
                format!("Strengths to try; 1 is “robust”; empty: {present}"),
                format!("要尝试的强度；1 即“强韧”；留空：{present}"),
            );
        }
        pick!(self, format!("Values to try; empty: {present}"), format!("要尝试的值；留空：{present}"))
    }

    /// Why no sweep can begin just now.
    pub(in crate::page) fn sweep_waits(self, paused: bool) -> &'static str {
        if paused {
            pick!(self, "Stop the paused run first.", "请先停止已暂停的训练。")
        } else {
            pick!(self, "It can begin when nothing else is going.", "没有别的事在进行时才能开始。")
        }
    }

    /// What a sweep will do.
    pub(in crate::page) fn sweep_plan(self, runs: u32, config: &SweepConfig) -> String {
        let epochs = config.epochs;
        match (self, runs, epochs) {
            (Lang::En, 1, 1) => "1 run of 1 epoch.".into(),
            (Lang::En, 1, _) => format!("1 run of {epochs} epochs."),
            (Lang::En, _, 1) => format!("{runs} runs of 1 epoch each."),
            (Lang::En, _, _) => format!("{runs} runs of {epochs} epochs each."),
            (Lang::Zh, _, _) => format!("共 {runs} 次，每次 {epochs} 轮。"),
        }
    }

    /// Why the form's sweep can't be started.
    pub(in crate::page) fn sweep_wrong(self, wrong: &Wrong) -> String {
        let error = match wrong {
            Wrong::NoNumber { setting, text } => {
                let name = self.setting(*setting);
                return pick!(self, format!("{name}: “{text}” is no number."), format!("{name}：“{text}”不是数。"));
            }
            Wrong::Seed => {
                let (low, high) = (0, count(u32::MAX));
                return pick!(
                    self,
                    format!("The seed is a whole number from {low} to {high}."),
                    format!("种子是 {low} 到 {high} 的整数。"),
                );
            }
            Wrong::Sweep(error) => error,
        };
        self.sweep_error(error)
    }

    /// Why a sweep can't be made.
    pub(super) fn sweep_error(self, error: &SweepError) -> String {
        match error {
            SweepError::NoAxis => {
                pick!(self, "Give at least one setting values to try.", "至少给一个设置填上要尝试的值。").into()
            }
            SweepError::NoValues(setting) => {
                let name = self.setting(*setting);
                pick!(self, format!("{name} has no values."), format!("{name}没有值。"))
            }
            SweepError::TooManyValues(setting) => {
                let name = self.setting(*setting);
                pick!(
                    self,
                    format!("{name}: {MAX_VALUES} values at most."),
                    format!("{name}：最多 {MAX_VALUES} 个值。")
                )
            }
            SweepError::Twice(setting) => {
                let name = self.setting(*setting);
                pick!(self, format!("{name} is there twice."), format!("{name}出现了两次。"))
            }
            SweepError::Value { setting, value } => {
                let (name, bounds) = (self.setting(*setting), setting.bounds());
                let (low, high) = (bounds.start(), bounds.end());
                if *setting == Setting::BatchSize {
                    pick!(
                        self,
                        format!("{name} can't be {value}: whole numbers from {low} to {high}."),
                        format!("{name}不能是 {value}：应为 {low} 到 {high} 的整数。"),
                    )
                } else {
                    pick!(
                        self,
                        format!("{name} can't be {value}: from {low} to {high}."),
                        format!("{name}不能是 {value}：应在 {low} 到 {high} 之间。"),
                    )
                }
            }
            SweepError::Zero(setting) => {
                let name = self.setting(*setting);
                pick!(
                    self,
                    format!("{name} is drawn by its factor, so the smallest value is above 0. A grid can have a 0."),
                    format!("{name}按倍数随机取值，最小值须大于 0。网格可以含 0。"),
                )
            }
            SweepError::OverBudget { points, runs } => pick!(
                self,
                format!("The grid has {points} combinations, and there are {runs} runs: fewer values, or more runs."),
                format!("网格有 {points} 种组合，而只有 {runs} 次：减少值，或增加次数。"),
            ),
            SweepError::Runs(_) => {
                let (low, high) = (RUNS.start(), RUNS.end());
                pick!(self, format!("Runs: from {low} to {high}."), format!("次数：{low} 到 {high}。"))
            }
            SweepError::Epochs(_) => {
                let (low, high) = (EPOCHS.start(), EPOCHS.end());
                pick!(self, format!("Epochs a run: from {low} to {high}."), format!("每次轮数：{low} 到 {high}。"))
            }
            SweepError::FineTune => {
                pick!(self, "A sweep trains from scratch: choose that first.", "调参从零开始训练：请先选择从零训练。")
                    .into()
            }
        }
    }

    /// The headline while a sweep runs and after it.
    pub(super) fn tuning_headline(self, tuning: &Tuning, ended: bool) -> String {
        let best = tuning.best().and_then(|best| tuning.trials()[best].best);
        let Some(best) = best.map(|best| percent(best.accuracy(), 1)) else {
            return pick!(self, "Tuning. The first run is on its way.", "正在调参，第一次训练进行中。").into();
        };
        let done = tuning.done().max(1);
        match (self, ended, done) {
            (Lang::En, false, 1) => format!("Tuning. The best so far reads *{best}* of unseen digits."),
            (Lang::En, false, _) => format!("Tuning. The best of {done} runs reads *{best}* of unseen digits."),
            (Lang::En, true, 1) => format!("Tuned. The one run reads *{best}* of unseen digits."),
            (Lang::En, true, _) => format!("Tuned. The best of {done} runs reads *{best}* of unseen digits."),
            (Lang::Zh, false, _) => format!("正在调参：最好的一次，没见过的数字读对 *{best}*。"),
            (Lang::Zh, true, _) => format!("调参完成：{done} 次中最好的，没见过的数字读对 *{best}*。"),
        }
    }

    /// The line under it.
    pub(super) fn tuning_line(self, tuning: &Tuning, ended: bool) -> String {
        if ended {
            let epochs = tuning.sweep.as_ref().map_or(0, |sweep| sweep.config.epochs);
            return match (self, epochs) {
                (Lang::En, 1) => {
                    "After 1 epoch only: take its settings, then train in full. The table keeps all runs.".into()
                }
                (Lang::En, _) => {
                    format!(
                        "After {epochs} epochs only: take its settings, then train in full. The table keeps all runs."
                    )
                }
                (Lang::Zh, _) => format!("只训练了 {epochs} 轮：采用它的设置，再完整训练。所有结果都在表里。"),
            };
        }
        match tuning.busy {
            Busy::Compiling => pick!(
                self,
                "The first batch takes longest: your GPU is compiling its kernels. Only once.",
                "首批最慢：显卡正在编译内核，只此一次。",
            )
            .into(),
            Busy::Waiting => {
                pick!(self, "Waiting for digits that are still on their way.", "在等还没到的数字。").into()
            }
            Busy::Training => pick!(
                self,
                "Measured on digits kept aside; the test digits stay unseen. Stop whenever you like: \
                     what was measured stays.",
                "用留出的数字测得，测试用的数字始终不看。随时可以停止：测得的都会保留。",
            )
            .into(),
        }
    }

    /// "run *3* of 8".
    pub(in crate::page) fn run_of(self, run: usize, all: usize) -> String {
        pick!(self, format!("run *{run}* of {all}"), format!("第 *{run}* 次，共 {all} 次"))
    }

    /// The line in the room's head.
    pub(in crate::page) fn sweep_room(self, tuning: &Tuning) -> String {
        let total = tuning.trials().iter().find_map(|trial| trial.best).map(|best| count(best.total));
        let Some(total) = total else {
            return pick!(self, "Click a run to take its settings over.", "点一行，即采用它的设置。").into();
        };
        pick!(
            self,
            format!(
                "Counted on {total} digits kept aside, none of them for the test. Click a run to take its settings over."
            ),
            format!("用留出的 {total} 个数字计数，不含测试用的数字。点一行，即采用它的设置。"),
        )
    }

    /// The count behind a percentage.
    pub(in crate::page) fn score_count(self, score: Score) -> String {
        let (right, total) = (count(score.correct), count(score.total));
        pick!(self, format!("{right} of {total}"), format!("{total} 中的 {right}"))
    }

    /// "1 of 2".
    pub(in crate::page) fn epochs_done(self, done: u32, all: u32) -> String {
        pick!(self, format!("{done} of {all}"), format!("{done} / {all}"))
    }

    /// A time, to the second.
    pub(in crate::page) fn seconds(self, seconds: f64) -> String {
        self.exact_time(seconds.round() as u32)
    }

    /// Where a trial is.
    pub(in crate::page) fn trial_state(self, trial: &Trial) -> &'static str {
        match trial.state {
            TrialState::Waiting => pick!(self, "waiting", "等待"),
            TrialState::Running => pick!(self, "running", "进行中"),
            TrialState::Done => pick!(self, "done", "完成"),
            TrialState::Pruned => pick!(self, "pruned", "已剪除"),
            TrialState::Stopped if trial.epochs == 0 => pick!(self, "not run", "未训练"),
            TrialState::Stopped => pick!(self, "stopped", "已停止"),
            TrialState::Diverged => pick!(self, "diverged", "发散"),
        }
    }

    /// What the button in a row does.
    pub(in crate::page) fn open_trial(self, number: usize) -> String {
        pick!(self, format!("Use the settings of run {number}"), format!("采用第 {number} 次的设置"))
    }

    /// Said aloud when it was pressed.
    pub(in crate::page) fn opened_trial(self, number: usize) -> String {
        pick!(
            self,
            format!("The recipe has the settings of run {number}."),
            format!("配方已采用第 {number} 次的设置。")
        )
    }

    /// Said aloud when a trial has ended.
    pub(in crate::page) fn announce_trial(self, tuning: &Tuning, index: usize) -> Option<String> {
        let trial = tuning.trials().get(index)?;
        let (number, all) = (index + 1, tuning.trials().len());
        let reads = percent(trial.best?.accuracy(), 1);
        Some(pick!(self, format!("Run {number} of {all}: {reads}."), format!("第 {number} 次，共 {all} 次：{reads}。")))
    }
}
