//! Everything that the page says, in English and 中文: whole sentences with slots, for their order differs.
//!
//! `*stars*` mark what a headline stresses; [`stressed`] cuts them out.

use super::settings::Note;
use super::state::{Activity, PageState, Phase, Reading, Run, WayOn};
use crate::protocol::{DeviceKind, DeviceReason, Failure};

/// The page's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// 中文.
    Zh,
}

/// A fixed text: what it says depends on the language.
pub(super) type Text = fn(Lang) -> &'static str;

/// What of two is of the language. The other one is not made.
macro_rules! pick {
    ($lang:expr, $en:expr, $zh:expr $(,)?) => {
        match $lang {
            Lang::En => $en,
            Lang::Zh => $zh,
        }
    };
}

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        impl Lang {
            $(pub(in crate::page) fn $name(self) -> &'static str { pick!(self, $en, $zh) })*
        }
    };
}

mod charts;
mod files;
mod keep;
mod mistakes;
pub(super) mod recipe;
mod sweep;

words! {
    code: "en", "zh";
    other: "中文", "EN";
    other_name: "中文", "English";
    skip: "Skip to training", "跳到训练";
    to_top: "Kiln, to the top", "Kiln，回到顶部";
    on_this_page: "On this page", "本页内容";
    nav_train: "Train", "训练";
    nav_inside: "Inside", "内部";
    larger_text: "Larger text, for a projector", "放大文字，适合投影";
    dark_theme: "Dark theme", "深色主题";
    light_theme: "Light theme", "浅色主题";
    choosing: "choosing a device…", "正在选择设备…";
    device: "Device", "设备";
    device_auto: "Choose by itself", "自动选择";
    device_cpu: "Use the CPU", "用 CPU";
    device_gpu: "Use WebGPU", "用 WebGPU";
    device_busy: "Stop the run first, then the device can be changed.", "先停止训练，再更换设备。";
    workers: "Workers", "工作线程";
    workers_auto: "As many as help", "自动选择";
    workers_are: "They share the work of each step. However many they are, the losses are the same.",
        "它们分担每一步的计算。无论多少个，损失都完全相同。";
    device_gives_up: "Changing it starts the engine anew: the network trained here is given up.",
        "更换设备会重启引擎：这里训练的网络将不再保留。";
    rest_missing: "Part of the page did not arrive: settings, models, mistakes and more. Training works without it.",
        "页面有一部分没有加载成功：设置、模型、错题等。不影响训练。";
    rest_coming: "On its way… Escape takes it back.", "正在加载…按 Esc 取消。";
    rest_again: "Fetch it again", "重新获取";
    rest_reload: "Load the page again", "重新加载页面";
    close: "Close", "关闭";
    copy_address: "Copy the address", "复制地址";
    all_settings: "All settings", "全部设置";
    recipe: "Recipe", "配方";
    train: "Train", "训练";
    train_again: "Train again", "再训练一次";
    pause: "Pause", "暂停";
    pausing: "Pausing…", "正在暂停…";
    resume: "Resume", "继续";
    one_batch: "One batch", "走一步";
    stop: "Stop", "停止";
    test_now: "Test it now", "现在考它";
    loss: "Loss", "损失";
    accuracy: "Accuracy", "准确率";
    loss_empty: "How wrong it is, batch by batch.\nIt should fall.", "每一批错得多厉害。\n它应该下降。";
    accuracy_empty: "How many it reads right.\nIt should rise.", "读对了多少。\n它应该上升。";
    loss_chart: "Loss over epochs. Arrow keys read its points.", "各轮的损失。方向键逐点读出。";
    accuracy_chart: "Accuracy over epochs. Arrow keys read its points.", "各轮的准确率。方向键逐点读出。";
    training: "training", "训练";
    validation: "validation", "验证";
    raw: "raw", "原始";
    epoch: "epoch", "轮";
    smoothing: "Smoothing", "平滑";
    log_scale: "Log scale", "对数刻度";
    table: "Table", "表格";
    chart: "Chart", "图表";
    table_title: "Loss and accuracy by epoch", "各轮的损失与准确率";
    training_loss: "training loss", "训练损失";
    validation_loss: "validation loss", "验证损失";
    training_accuracy: "training accuracy", "训练准确率";
    validation_accuracy: "validation accuracy", "验证准确率";
    try_it: "Try it", "试一试";
    clear: "Clear", "清除";
    pad: "Drawing pad. Draw one digit. Arrow keys move the pen, Space puts it down and lifts it.",
        "画板。画一个数字。方向键移动笔，空格落笔或抬笔。";
    draw_here: "Draw a digit here", "在这里画一个数字";
    stages: "What the network sees", "网络看到的样子";
    cropped: "cropped", "裁切";
    fit: "fit to 20×20", "缩到 20×20";
    centred: "centred in 28×28", "居中于 28×28";
    answers_wait: "Ten answers appear here with your first stroke.\nBefore training they are guesses.",
        "画下第一笔，这里就会出现十个答案。\n训练之前只是瞎猜。";
    answers_wait_engine: "The answers come as soon as the engine is there.", "引擎就绪后就会出现答案。";
    answers: "How sure the network is of each digit. Press a digit to say what you drew.",
        "网络对每个数字的把握。按数字键告诉它你画的是什么。";
    cant_tell: "It can't tell", "它看不出来";
    inside: "Inside the network", "网络内部";
    inside_empty: "Convolutions look for strokes and shapes, dense layers decide. Draw, and your digit passes through.",
        "卷积寻找笔画和形状，全连接层作决定。画一个数字，看它如何通过。";
    inside_filled: "Each square is one filter's answer to your drawing: dark where it found what it looks for.",
        "每个方格是一个滤波器对你的字的回答：越深，越像它要找的东西。";
    strip: "The layers of the network, from your drawing to ten answers", "网络各层，从你的字到十个答案";
    your_drawing: "Your drawing", "你的字";
    pixels: "28×28 pixels", "28×28 像素";
    ten_answers: "Ten answers", "十个答案";
    sum_to_100: "sum to 100%", "总和 100%";
    network: "Network", "网络";
    layer: "Layer", "层";
    output_shape: "Output shape", "输出形状";
    parameters: "Parameters", "参数";
    total: "Total, all trainable", "总计，均可训练";
    details: "Details for a report", "报告用的细节";
    everything_kept: "everything kept", "进度都在";
    starting_engine: "Starting the engine.", "正在启动引擎。";
    nothing_leaves: "Nothing leaves this tab.", "一切都留在这个标签页里。";
    keyboard: "Keyboard", "键盘";
    shortcuts: "Single-key shortcuts", "单键快捷键";
    key_train: "train, pause, resume", "训练、暂停、继续";
    key_step: "one batch", "走一步";
    key_clear: "clear the pad", "清除画板";
    key_recipe: "all settings", "全部设置";
    key_list: "this list", "本列表";
    key_escape: "close", "关闭";
}

// Below the macro that they use.
mod digits;
mod finetune;

impl Lang {
    /// The language of a remembered code, or of the browser.
    pub fn of(code: &str) -> Self {
        if code.starts_with("zh") { Lang::Zh } else { Lang::En }
    }

    /// The headline.
    pub fn headline(self, state: &PageState) -> String {
        if let (true, Some(failure)) = (state.failed(), state.failure()) {
            return self.failed_headline(failure);
        }
        if let Some(headline) = self.finetune_headline(state) {
            return headline;
        }
        let run = state.run.as_ref();
        let unseen = run.and_then(Run::score).map(|score| percent(score.accuracy(), 1));
        if state.resumable().is_some() {
            return self.welcome_back().into();
        }
        if let Some(card) = state.opened() {
            return self.opened_headline(card);
        }
        match &state.phase {
            Phase::LoadingWorker | Phase::LoadingData => pick!(self, "Warming up.", "正在预热。").into(),
            Phase::Ready => pick!(self, "Teach this tab to read handwriting.", "教这个标签页认识手写数字。").into(),
            Phase::Training(Activity::Starting | Activity::Compiling) => {
                pick!(self, "Lighting the kiln.", "点火中。").into()
            }
            Phase::Training(Activity::Pausing) => pick!(self, "Pausing after this batch.", "本批之后暂停。").into(),
            Phase::Training(_) => match unseen {
                Some(unseen) => pick!(
                    self,
                    format!("Learning. It reads *{unseen}* of unseen digits."),
                    format!("学习中：没见过的数字，已能读对 *{unseen}*。"),
                ),
                None => pick!(self, "Learning.", "学习中。").into(),
            },
            Phase::Paused => pick!(self, "Paused. Everything is kept.", "已暂停，进度都在。").into(),
            Phase::Evaluating { total, .. } => {
                let total = count(*total);
                pick!(
                    self,
                    format!("The exam: {total} digits it has never seen."),
                    format!("正在用没见过的 {total} 个数字考它。"),
                )
            }
            Phase::Finished { stopped: false } => match run.and_then(|run| run.test) {
                Some(test) => {
                    let (right, total) = (count(test.correct), count(test.total));
                    pick!(
                        self,
                        format!("Done. It reads *{right} of {total}* test digits."),
                        format!("完成。{total} 个测试数字读对了 *{right}* 个。"),
                    )
                }
                None => pick!(self, "Done.", "完成。").into(),
            },
            Phase::Finished { stopped: true } => {
                let epoch = run.map_or(1, Run::epoch);
                match unseen {
                    Some(unseen) => pick!(
                        self,
                        format!("Stopped in epoch {epoch}. It reads *{unseen}* of unseen digits."),
                        format!("已在第 {epoch} 轮停止。没见过的数字，能读对 *{unseen}*。"),
                    ),
                    None => pick!(self, format!("Stopped in epoch {epoch}."), format!("已在第 {epoch} 轮停止。")),
                }
            }
            Phase::Sweeping | Phase::Swept => self.tuning_headline(&state.sweeps, state.phase == Phase::Swept),
            Phase::Failed(failure) => self.failed_headline(failure),
        }
    }

    fn failed_headline(self, failure: &Failure) -> String {
        match failure {
            Failure::Unsupported { .. } => pick!(self, "This browser can't run Kiln.", "浏览器太旧。"),
            Failure::WorkerSilent { .. } => pick!(self, "The engine did not start.", "引擎没有启动。"),
            Failure::Version { .. } => pick!(self, "Kiln was updated while this page was open.", "Kiln 已更新。"),
            Failure::WorkerDied { .. } => pick!(self, "The engine stopped.", "引擎停止了。"),
            Failure::NoData { .. } => pick!(self, "The digits can't be fetched.", "取不到数字。"),
            Failure::MissingShard { .. } => pick!(self, "Some digits did not arrive.", "有一部分数字没有到。"),
            Failure::BadShard { .. } => {
                pick!(self, "A shard arrived damaged. It is not used.", "有一个分片已损坏，不会使用。")
            }
            Failure::NotFinite { .. } => pick!(self, "The loss is no longer a number.", "损失不再是一个数。"),
            Failure::GpuLost { .. } => pick!(self, "The GPU went away. Nothing is lost.", "显卡断开了，什么都没丢。"),
            Failure::Configuration { .. } => pick!(self, "This recipe can't be run.", "这个配方无法运行。"),
            Failure::FineTune { .. } => pick!(self, "This fine-tuning can't start.", "这次微调无法开始。"),
            Failure::NotAModel { .. } => self.not_a_model(),
        }
        .into()
    }

    /// The line under the headline.
    pub fn line(self, state: &PageState, offline: bool) -> String {
        if let (true, Some(failure)) = (state.failed(), state.failure()) {
            return self.kept(state, failure);
        }
        if let Some(line) = self.finetune_line(state) {
            return line;
        }
        let run = state.run.as_ref();
        match &state.phase {
            Phase::LoadingWorker => self.starting_engine().into(),
            Phase::LoadingData if state.data.total_bytes == 0 => {
                pick!(self, "Asking for the digits.", "正在取数字。").into()
            }
            Phase::LoadingData => {
                let (here, all) = (megabytes(state.data.bytes), megabytes(state.data.total_bytes));
                let when = if state.can_train() {
                    pick!(self, "The first ones are here: you can train.", "首批已到，可以训练了。")
                } else {
                    pick!(self, "You can train as soon as the first ones are here.", "首批到达后即可训练。")
                };
                pick!(
                    self,
                    format!("Fetching digits: {here} of {all} MB. {when}"),
                    format!("正在取数字：{all} MB 中的 {here} MB。{when}"),
                )
            }
            Phase::Ready if state.resumable().is_some() => self.half_trained().into(),
            Phase::Ready if state.opened().is_some() => {
                state.opened().map_or_else(String::new, |card| self.opened_line(card))
            }
            Phase::Ready if state.data.waits => {
                let all = megabytes(state.data.total_bytes - state.data.bytes);
                pick!(
                    self,
                    format!("Your connection is spared: the digits, {all} MB, are fetched when you train."),
                    format!("为节省流量，开始训练时才取数字（{all} MB）。"),
                )
            }
            Phase::Ready if offline => {
                pick!(self, "You are offline. Everything is already here, so everything works.", "已离线，一切照常。")
                    .into()
            }
            Phase::Ready => {
                let digits = count(state.settings.train_size.min(state.data.total_train_images.max(1)));
                let kind = if state.data.synthetic {
                    pick!(self, "synthetic digits", "合成数字")
                } else {
                    pick!(self, "handwritten digits", "手写数字")
                };
                pick!(
                    self,
                    format!(
                        "One click trains a small network on {digits} {kind}, on your own machine. \
                         Nothing is installed, nothing is sent anywhere."
                    ),
                    format!(
                        "点一下，就在你的电脑上用 {digits} 个{kind}训练一个小网络。不安装任何东西，也不上传任何东西。"
                    ),
                )
            }
            Phase::Training(Activity::Starting | Activity::Compiling) => self.compiling_line(state),
            Phase::Training(Activity::Waiting) => {
                pick!(self, "Waiting for digits that are still on their way.", "在等还没到的数字。").into()
            }
            Phase::Training(_) => match run.and_then(Run::score) {
                Some(score) => {
                    let total = count(score.total);
                    pick!(
                        self,
                        format!(
                            "Measured on {total} digits kept aside. \
                             Draw whenever you like: it answers while it learns."
                        ),
                        format!("用留出的 {total} 个数字测得。随时可以画一个数字：它边学边答。"),
                    )
                }
                None => pick!(
                    self,
                    "The first look at unseen digits comes after epoch 1. \
                         Draw whenever you like: it answers while it learns.",
                    "第 1 轮之后第一次看没见过的数字。随时可以画一个数字：它边学边答。",
                )
                .into(),
            },
            Phase::Paused => pick!(
                self,
                "You can change the learning rate now, or go on one batch at a time.",
                "现在可以改学习率，也可以一批一批地走。",
            )
            .into(),
            Phase::Evaluating { .. } => {
                pick!(self, "Training is done and kept. This takes a few seconds.", "训练已完成并保留。只要几秒钟。")
                    .into()
            }
            Phase::Finished { stopped: true } => {
                pick!(self, "The network is as it was: draw, or go on.", "网络保持原样：可以画字，也可以继续。").into()
            }
            Phase::Finished { stopped: false } => String::new(),
            Phase::Sweeping | Phase::Swept => self.tuning_line(&state.sweeps, state.phase == Phase::Swept),
            Phase::Failed(failure) => self.kept(state, failure),
        }
    }

    fn compiling_line(self, state: &PageState) -> String {
        let gpu = state.device.as_ref().is_some_and(|device| device.kind == DeviceKind::WebGpu);
        if gpu {
            pick!(
                self,
                "The first batch takes longest: your GPU is compiling its kernels. Only once.",
                "首批最慢：显卡正在编译内核，只此一次。",
            )
            .into()
        } else {
            pick!(self, "The first batch is on its way.", "首批正在进行。").into()
        }
    }

    /// The line of a finished run: before the accuracy, between it and the link to the mistakes, the link, after it.
    pub fn finished_line(self, mistakes: u32) -> [String; 4] {
        let wrong = count(mistakes);
        match (self, mistakes) {
            (Lang::En, 0) => ["That is ".into(), ". Teach it your own hand next.".into(), String::new(), String::new()],
            (Lang::En, 1) => [
                "That is ".into(),
                ". Its ".into(),
                "one mistake".into(),
                " is worth a look; then teach it your own hand.".into(),
            ],
            (Lang::En, _) => [
                "That is ".into(),
                ". Its ".into(),
                format!("{wrong} mistakes"),
                " are worth a look; then teach it your own hand.".into(),
            ],
            (Lang::Zh, 0) => ["也就是 ".into(), "。接着教它认你的字。".into(), String::new(), String::new()],
            (Lang::Zh, _) => {
                ["也就是 ".into(), "。".into(), format!("{wrong} 个错误"), "值得看看。然后教它认你的字。".into()]
            }
        }
    }

    /// What of the run is kept after a failure.
    fn kept(self, state: &PageState, failure: &Failure) -> String {
        match failure {
            Failure::Unsupported { .. } => {
                return pick!(
                    self,
                    "It needs WebAssembly SIMD and module workers: Chrome, Edge, Firefox or Safari from 2023 on.",
                    "需要 WebAssembly SIMD 和模块 Worker：2023 年以后的 Chrome、Edge、Firefox 或 Safari。",
                )
                .into();
            }
            Failure::Configuration { problem } => return self.configuration_problem(problem),
            Failure::FineTune { problem } => return self.finetune_problem(problem),
            Failure::NotAModel { .. } => return self.nothing_touched().into(),
            _ => {}
        }
        let checkpoint = state.run.as_ref().and_then(|run| run.checkpoint.as_ref());
        let validated = checkpoint.and_then(|checkpoint| Some((checkpoint.epoch, checkpoint.score?)));
        match (validated, &state.run) {
            (Some((epoch, score)), _) => {
                let reads = percent(score.accuracy(), 1);
                pick!(
                    self,
                    format!(
                        "Your network is safe as it was at the end of epoch {epoch}: \
                         it reads {reads} of unseen digits."
                    ),
                    format!("网络停在第 {epoch} 轮结束时的样子：没见过的数字读对 {reads}。"),
                )
            }
            (None, Some(_)) => {
                pick!(self, "No epoch was finished yet, so the run begins again.", "还没有完成任何一轮，因此从头开始。")
                    .into()
            }
            (None, None) => pick!(self, "Nothing had been trained yet.", "还没有训练过。").into(),
        }
    }

    /// The error panel's heading and the paragraph under it.
    pub fn failure(self, failure: &Failure, run: Option<&Run>) -> (String, String) {
        let epoch = run.map(Run::epoch);
        match failure {
            Failure::Unsupported { missing } => (
                pick!(self, format!("Missing: {missing}"), format!("缺少：{missing}")),
                pick!(self, "Open this address in a newer browser.", "请用较新的浏览器打开此地址。").into(),
            ),
            Failure::WorkerSilent { seconds } => (
                pick!(
                    self,
                    format!("It said nothing for {seconds} seconds"),
                    format!("{seconds} 秒内没有任何回应"),
                ),
                pick!(
                    self,
                    "The network may be slow, or a part of Kiln could not be loaded.",
                    "可能是网络太慢，也可能有一部分没有加载成功。",
                )
                .into(),
            ),
            Failure::Version { worker, page } => (
                pick!(self, "The page and its engine are of two builds", "页面和引擎不是同一个版本").into(),
                pick!(
                    self,
                    format!("The page speaks version {page}, the engine version {worker}. Loading again fixes it."),
                    format!("页面版本 {page}，引擎版本 {worker}。重新加载即可。"),
                ),
            ),
            Failure::WorkerDied { message } => (
                match epoch {
                    Some(epoch) => {
                        pick!(self, format!("It ended in epoch {epoch}"), format!("它在第 {epoch} 轮终止"))
                    }
                    None => pick!(self, "It ended without being asked to", "它自行终止了").into(),
                },
                if message.is_empty() {
                    pick!(
                        self,
                        "The browser does that when memory runs short. What came after the last full epoch is run again.",
                        "内存不足时浏览器会这样做。最后一个完整的轮之后的部分会重新运行。",
                    )
                } else {
                    pick!(
                        self,
                        "A fault inside Kiln ended it. What came after the last full epoch is run again.",
                        "Kiln 内部出错。最后一个完整的轮之后的部分会重新运行。",
                    )
                }
                .into(),
            ),
            Failure::NoData { what, .. } => (
                pick!(self, "The list of digits can't be used", "数字清单无法使用").into(),
                pick!(self, format!("What was found: {what}."), format!("情况：{what}。")),
            ),
            Failure::MissingShard { file, what } => (
                pick!(self, format!("{file} can't be fetched"), format!("取不到 {file}")),
                pick!(
                    self,
                    format!("What was found: {what}. Nothing trains on digits that are not here."),
                    format!("情况：{what}。没有到的数字不会参与训练。"),
                ),
            ),
            Failure::BadShard { file, expected, found, .. } => (
                pick!(self, format!("{file} is not what the list says"), format!("{file} 与清单不符")),
                pick!(
                    self,
                    format!("Expected {expected}, found {found}. Nothing trains on it."),
                    format!("应为 {expected}，实为 {found}。不会用它训练。"),
                ),
            ),
            Failure::NotFinite { step } => {
                let step = count(*step);
                (
                    pick!(self, format!("It ran away at step {step}"), format!("它在第 {step} 步失控了")),
                    pick!(
                        self,
                        "The changes were too big: a smaller learning rate keeps them in bounds.",
                        "每次改动太大：学习率小一些就不会失控。",
                    )
                    .into(),
                )
            }
            Failure::GpuLost { .. } => (
                match epoch {
                    Some(epoch) => pick!(
                        self,
                        format!("The browser took the GPU back in epoch {epoch}"),
                        format!("浏览器在第 {epoch} 轮收回了显卡"),
                    ),
                    None => pick!(self, "The browser took the GPU back", "浏览器收回了显卡").into(),
                },
                pick!(
                    self,
                    "It does that when the machine sleeps, when the driver restarts, or when memory runs short. \
                     What came after the last full epoch is run again.",
                    "电脑休眠、驱动重启或内存不足时会这样。最后一个完整的轮之后的部分会重新运行。",
                )
                .into(),
            ),
            Failure::NotAModel { file, what } => self.refused_file(file, what),
            Failure::Configuration { problem } => {
                (pick!(self, "The recipe needs a change", "配方需要修改").into(), self.configuration_problem(problem))
            }
            Failure::FineTune { problem } => {
                (pick!(self, "Fine-tuning needs something else", "微调还缺条件").into(), self.finetune_problem(problem))
            }
        }
    }

    /// The fault's label in a chart.
    pub fn fault(self, failure: &Failure) -> &'static str {
        match failure {
            Failure::GpuLost { .. } => pick!(self, "GPU lost", "显卡断开"),
            Failure::NotFinite { .. } => pick!(self, "not a number", "不是数"),
            _ => pick!(self, "engine stopped", "引擎停止"),
        }
    }

    /// The button of a way on.
    pub fn way_on(self, way: WayOn, failure: &Failure) -> String {
        match way {
            WayOn::ResumeFrom(epoch) => {
                pick!(self, format!("Resume from epoch {epoch}"), format!("从第 {epoch} 轮继续"))
            }
            WayOn::StartAgain => pick!(self, "Start again", "重新开始").into(),
            WayOn::Restart => pick!(self, "Start the engine again", "重新启动引擎").into(),
            WayOn::OnCpu => pick!(self, "Go on with the CPU", "改用 CPU").into(),
            WayOn::GoBack(0) => pick!(self, "Start again, learning rate ÷ 10", "从头开始，学习率 ÷ 10").into(),
            WayOn::GoBack(epoch) => pick!(
                self,
                format!("Go back to epoch {epoch}, learning rate ÷ 10"),
                format!("回到第 {epoch} 轮，学习率 ÷ 10"),
            ),
            WayOn::FetchAgain if matches!(failure, Failure::NoData { .. }) => {
                pick!(self, "Try again", "再试一次").into()
            }
            WayOn::FetchAgain => pick!(self, "Fetch it again", "重新获取").into(),
            WayOn::ChooseFile => self.choose_another().into(),
            WayOn::LeaveFile => self.leave_file().into(),
            WayOn::Reload => self.rest_reload().into(),
            WayOn::Defaults => pick!(self, "Back to the default recipe", "恢复默认配方").into(),
            WayOn::ChangeRecipe => pick!(self, "Change the recipe", "修改配方").into(),
        }
    }

    /// The device's short name.
    pub fn device_kind(self, kind: DeviceKind) -> &'static str {
        match kind {
            DeviceKind::Cpu => "CPU",
            DeviceKind::WebGpu => "WebGPU",
        }
    }

    /// Why the device was chosen, as a sentence.
    pub fn device_reason(self, kind: DeviceKind, reason: &DeviceReason) -> String {
        match reason {
            DeviceReason::UsableGpu => {
                pick!(self, "Chosen by itself: this machine's GPU can train the network.", "自动选择：显卡可用于训练。")
                    .into()
            }
            DeviceReason::Asked => match kind {
                DeviceKind::Cpu => pick!(self, "You asked for the CPU.", "你选择了 CPU。").into(),
                DeviceKind::WebGpu => pick!(self, "You asked for WebGPU.", "你选择了 WebGPU。").into(),
            },
            DeviceReason::NoWebGpu => pick!(
                self,
                "Your browser offers no WebGPU, so Kiln trains on the CPU: same network, slower.",
                "浏览器没有 WebGPU，所以用 CPU 训练：网络相同，只是慢些。",
            )
            .into(),
            DeviceReason::NoAdapter => pick!(
                self,
                "Your browser has WebGPU but no GPU to offer, so Kiln trains on the CPU.",
                "浏览器有 WebGPU，但没有可用的显卡，所以用 CPU 训练。",
            )
            .into(),
            DeviceReason::SoftwareAdapter => pick!(
                self,
                "The only GPU here is emulated in software, which is slower than the CPU itself.",
                "这里的显卡是软件模拟的，比直接用 CPU 还慢。",
            )
            .into(),
            DeviceReason::MissingFeature(feature) => pick!(
                self,
                format!("The GPU lacks {feature}, so Kiln trains on the CPU."),
                format!("显卡缺少 {feature}，所以用 CPU 训练。"),
            ),
            DeviceReason::Refused(what) => pick!(
                self,
                format!("The GPU could not be opened ({what}), so Kiln trains on the CPU."),
                format!("显卡无法打开（{what}），所以用 CPU 训练。"),
            ),
            DeviceReason::SelfCheck { difference } => {
                let difference = decimal(f64::from(*difference), 5);
                pick!(
                    self,
                    format!("The GPU computed otherwise than the CPU (by {difference}), so Kiln trusts the CPU."),
                    format!("显卡与 CPU 的计算结果不同（相差 {difference}），所以用 CPU。"),
                )
            }
            DeviceReason::Lost => {
                pick!(self, "The GPU was lost, so Kiln goes on with the CPU.", "显卡断开了，改用 CPU 继续。").into()
            }
        }
    }

    /// What of the address is not followed.
    pub fn note(self, note: &Note) -> String {
        match note {
            Note::Unknown { name } => pick!(
                self,
                format!("The address asks for “{name}”, which Kiln does not know. It is left out."),
                format!("地址里的“{name}”，Kiln 不认识，已忽略。"),
            ),
            Note::Invalid { name, value, used } => pick!(
                self,
                format!("The address asks for {name} = “{value}”, which can't be. {used} is used instead."),
                format!("地址里的 {name} =“{value}”不可用，改用 {used}。"),
            ),
        }
    }

    /// The recipe, in pieces: plain text and the words that open a field.
    pub fn sentence(self, state: &PageState) -> Vec<Piece> {
        use Piece::{Plain, Word};
        let settings = &state.settings;
        let network = Word(Token::Network, self.network_word(&settings.network));
        let images = count(settings.train_size);
        let data = if state.data.synthetic {
            pick!(self, format!("{images} synthetic digits"), format!("{images} 个合成数字"))
        } else {
            pick!(self, format!("{images} digits"), format!("{images} 个数字"))
        };
        let data = Word(Token::Data, data);
        let epochs = settings.epochs;
        let epochs = match (self, epochs) {
            (Lang::En, 1) => "1 epoch".into(),
            (Lang::En, _) => format!("{epochs} epochs"),
            (Lang::Zh, _) => format!("{epochs} 轮"),
        };
        let epochs = Word(Token::Epochs, epochs);
        let batch = settings.batch_size;
        let batch = Word(Token::Batch, pick!(self, format!("{batch} at a time"), format!("{batch} 个")));
        let rate = Word(Token::LearningRate, settings.learning_rate.to_string());
        if state.tunes() {
            return self.finetune_sentence(state, epochs, batch, rate);
        }
        let optimizer = Word(Token::Optimizer, self.optimizer(settings.optimizer).into());
        match self {
            Lang::En => vec![
                Plain("Train "),
                network,
                Plain(" on "),
                data,
                Plain(" for "),
                epochs,
                Plain(", "),
                batch,
                Plain(", with "),
                optimizer,
                Plain(" at a learning rate of "),
                rate,
                Plain("."),
            ],
            Lang::Zh => vec![
                Plain("用 "),
                data,
                Plain(" 训练 "),
                network,
                Plain("，共 "),
                epochs,
                Plain("，每批 "),
                batch,
                Plain("，用 "),
                optimizer,
                Plain("，学习率 "),
                rate,
                Plain("。"),
            ],
        }
    }

    /// How a device was found, for the settings.
    pub fn chosen(self, kind: DeviceKind, reason: &DeviceReason) -> String {
        let name = self.device_kind(kind);
        match reason {
            DeviceReason::Asked => pick!(self, format!("{name}, as asked"), format!("{name}，按你的选择")),
            _ => pick!(self, format!("{name}, chosen by itself"), format!("{name}，自动选择")),
        }
    }

    /// What the page reads of the drawing, beside the digit.
    /// `names` are those of the network's classes; digits need none.
    pub fn answer(self, answer: &Reading, names: &[String]) -> String {
        let [(_, best), (second_class, second)] = answer.best;
        if best < 0.4 {
            return self.cant_tell().into();
        }
        let sure = if best > 0.99 { pick!(self, ">99%", "99% 以上").into() } else { percent(best, 0) };
        if second >= 0.2 {
            let rival = self.a_class(&class_name(names, second_class));
            pick!(self, format!("{sure} sure, torn with {rival}"), format!("{sure} 的把握，也像 {rival}"))
        } else {
            pick!(self, format!("{sure} sure"), format!("{sure} 的把握"))
        }
    }

    /// The answer as it is spoken.
    pub fn spoken_answer(self, answer: &Reading, names: &[String]) -> String {
        let [(class, best), _] = answer.best;
        let (digit, sentence) = (class_name(names, class), self.answer(answer, names));
        if best < 0.4 { sentence } else { pick!(self, format!("{digit}, {sentence}"), format!("{digit}，{sentence}")) }
    }

    /// A layer's title in the strip.
    pub fn layer_title(self, name: &str) -> String {
        let (kind, number) = name.split_at(name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count());
        match kind {
            "conv" => pick!(self, format!("Conv {number}"), format!("卷积 {number}")),
            _ => pick!(self, format!("Dense {number}"), format!("全连接 {number}")),
        }
    }

    /// How much of a convolution is shown.
    pub fn maps(self, shown: usize, all: usize, side: usize) -> String {
        match (self, shown == all) {
            (Lang::En, true) => format!("{all} maps, {side}×{side}"),
            (Lang::En, false) => format!("{shown} of {all} maps, {side}×{side}"),
            (Lang::Zh, true) => format!("{all} 幅图，{side}×{side}"),
            (Lang::Zh, false) => format!("{all} 幅中的 {shown} 幅，{side}×{side}"),
        }
    }

    /// A dense layer's outputs.
    pub fn numbers(self, all: usize) -> String {
        pick!(self, format!("{all} numbers"), format!("{all} 个数"))
    }

    /// A layer's parameters.
    pub fn parameter_count(self, parameters: usize) -> String {
        let parameters = count(parameters as u32);
        pick!(self, format!("{parameters} parameters"), format!("{parameters} 个参数"))
    }

    /// "epoch *3* of 10".
    pub fn epoch_of(self, epoch: u32, epochs: u32) -> String {
        pick!(self, format!("epoch *{epoch}* of {epochs}"), format!("第 *{epoch}* 轮，共 {epochs} 轮"))
    }

    /// "batch *215* of 430".
    pub fn batch_of(self, batch: u32, batches: u32) -> String {
        let (batch, batches) = (count(batch), count(batches));
        pick!(self, format!("batch *{batch}* of {batches}"), format!("第 *{batch}* 批，共 {batches} 批"))
    }

    /// "*6,240* images/s".
    pub fn speed(self, images_per_second: f32) -> String {
        let speed = count(images_per_second.round() as u32);
        pick!(self, format!("*{speed}* images/s"), format!("每秒 *{speed}* 张"))
    }

    /// "about *1 min* left".
    pub fn left(self, seconds: f32) -> String {
        let time = self.duration(seconds);
        pick!(self, format!("about *{time}* left"), format!("约剩 *{time}*"))
    }

    /// How long this recipe takes here, where the device was timed before.
    pub fn forecast(self, seconds: f32) -> String {
        let time = self.duration(seconds);
        pick!(self, format!("About {time} on this machine."), format!("这台电脑上约 {time}。"))
    }

    fn duration(self, seconds: f32) -> String {
        if seconds < 55.0 {
            let seconds = if seconds < 10.0 { seconds.ceil().max(1.0) } else { (seconds / 5.0).round() * 5.0 };
            pick!(self, format!("{seconds} s"), format!("{seconds} 秒"))
        } else if seconds < 3600.0 {
            let minutes = (seconds / 60.0).round();
            pick!(self, format!("{minutes} min"), format!("{minutes} 分钟"))
        } else {
            let hours = (seconds / 360.0).round() / 10.0;
            pick!(self, format!("{hours} h"), format!("{hours} 小时"))
        }
    }

    /// How long a run took, to the second.
    pub fn took(self, epochs: u32, milliseconds: f64) -> String {
        let time = self.exact_time((milliseconds / 1000.0).round() as u32);
        match (self, epochs) {
            (Lang::En, 1) => format!("1 epoch in *{time}*"),
            (Lang::En, _) => format!("{epochs} epochs in *{time}*"),
            (Lang::Zh, _) => format!("{epochs} 轮，用时 *{time}*"),
        }
    }

    fn exact_time(self, seconds: u32) -> String {
        match (self, seconds / 60, seconds % 60) {
            (Lang::En, 0, seconds) => format!("{seconds} s"),
            (Lang::En, minutes, seconds) => format!("{minutes} min {seconds} s"),
            (Lang::Zh, 0, seconds) => format!("{seconds} 秒"),
            (Lang::Zh, minutes, seconds) => format!("{minutes} 分 {seconds} 秒"),
        }
    }

    /// Which epoch's network is used.
    pub fn best_at(self, epoch: u32) -> String {
        pick!(self, format!("Best at epoch *{epoch}*, used from now on"), format!("第 *{epoch}* 轮最好，现用它"))
    }

    /// "test digit *6,400* of 10,000".
    pub fn tested(self, done: u32, total: u32) -> String {
        let (done, total) = (count(done), count(total));
        pick!(self, format!("test digit *{done}* of {total}"), format!("{total} 个测试数字中的第 *{done}* 个"))
    }

    /// "shard *3* of 8, checked".
    pub fn shards(self, here: u32, all: u32) -> String {
        pick!(self, format!("shard *{here}* of {all}, checked"), format!("已校验 {all} 个分片中的 *{here}* 个"))
    }

    /// "*4.2* of 11.6 MB".
    pub fn bytes(self, here: u64, all: u64) -> String {
        let (here, all) = (megabytes(here), megabytes(all));
        pick!(self, format!("*{here}* of {all} MB"), format!("{all} MB 中的 *{here}* MB"))
    }

    /// The head of the box at a chart's crosshair.
    pub fn at_batch(self, epoch: f64, batch: u32) -> String {
        let (epoch, batch) = (decimal(epoch, 1), count(batch));
        pick!(self, format!("epoch {epoch} · batch {batch}"), format!("第 {epoch} 轮 · 第 {batch} 批"))
    }

    /// The row of an epoch's validation in that box.
    pub fn validation_at(self, epoch: u32) -> String {
        pick!(self, format!("validation, epoch {epoch}"), format!("第 {epoch} 轮验证"))
    }

    /// What is said aloud when the phase changes.
    pub fn announce(self, state: &PageState) -> Option<String> {
        let said = match &state.phase {
            Phase::Ready => pick!(self, "Ready to train.", "可以训练了。").into(),
            Phase::Training(Activity::Starting) => pick!(self, "Training started.", "训练开始。").into(),
            Phase::Sweeping => pick!(self, "The sweep started.", "开始调参。").into(),
            Phase::Paused | Phase::Finished { .. } | Phase::Swept => self.headline(state).replace('*', ""),
            _ => return None,
        };
        Some(said)
    }

    /// What is said aloud after an epoch.
    pub fn announce_epoch(self, epoch: u32, epochs: u32, accuracy: f32) -> String {
        let reads = decimal(f64::from(accuracy) * 100.0, 1);
        pick!(
            self,
            format!("Epoch {epoch} of {epochs}: {reads} percent."),
            format!("第 {epoch} 轮，共 {epochs} 轮：{reads}%。"),
        )
    }
}

/// A piece of the recipe.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text.
    Plain(&'static str),
    /// A word that opens a field.
    Word(Token, String),
}

/// A word of the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// The network.
    Network,
    /// The data.
    Data,
    /// The epochs.
    Epochs,
    /// The batch size.
    Batch,
    /// The optimizer.
    Optimizer,
    /// The learning rate.
    LearningRate,
    /// The network that fine-tuning starts from.
    Start,
    /// What fine-tuning leaves as it is.
    Freeze,
    /// What fine-tuning learns from.
    NewData,
}

/// A class's name; a digit is its own.
pub fn class_name(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// Cuts a text at its stars: every second piece is stressed.
pub fn stressed(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split('*').enumerate().map(|(index, piece)| (index % 2 == 1, piece)).filter(|(_, piece)| !piece.is_empty())
}

/// 9921 → "9,921".
pub fn count(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 0.983 → "98.3%". Never rounded up to all: 0.9999 is "99.9%".
pub fn percent(share: f32, digits: usize) -> String {
    let scale = 10f64.powi(digits as i32);
    let exact = f64::from(share) * 100.0 * scale;
    let rounded = if share < 1.0 { exact.round().min(100.0 * scale - 1.0) } else { exact };
    decimal(rounded / scale, digits) + "%"
}

/// A number with that many digits after the point.
pub fn decimal(number: f64, digits: usize) -> String {
    format!("{number:.digits$}")
}

fn megabytes(bytes: u64) -> String {
    decimal(bytes as f64 / 1e6, 1)
}
