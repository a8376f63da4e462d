//! What the charts say besides their axes: zooming, comparing, saving.

use super::Lang;
use crate::page::settings::Field;
use crate::training::RunConfig;

words! {
    whole_run: "Show the whole run", "显示整个过程";
    compare_with: "Compare with", "对比";
    same_settings: "same settings", "设置相同";
    save: "Save…", "保存…";
    save_as: "Save the charts as", "把图表保存为";
    as_svg: "Picture, SVG", "图片 SVG";
    as_png: "Picture, PNG", "图片 PNG";
    as_csv: "Numbers, CSV", "数据 CSV";
    fine_tuned: "fine-tuned", "微调";
    trained_afresh: "from scratch", "从零开始";
    other_fine_tuning: "fine-tuned otherwise", "微调方式不同";
}

impl Lang {
    /// A run of this visit, by its number.
    pub fn run_name(self, number: u32) -> String {
        pick!(self, format!("Run {number}"), format!("第 {number} 次"))
    }

    /// What differs between an earlier run and the present one, each with the earlier value and the present one.
    pub fn differences(self, earlier: &RunConfig, present: &RunConfig) -> Vec<String> {
        let differs = |field: &Field| field.get(earlier) != field.get(present);
        // A mixture of augmentations by its name says more than its parts.
        let mixture = differs(&Field::Augment);
        let fields = Field::all().filter(|field| !(mixture && matches!(field, Field::Change(_)))).filter(differs);
        let in_words = |field: Field, config: &RunConfig| {
            let value = field.get(config);
            match (self.choice(field, &value), value.as_str()) {
                ("", "true") => pick!(self, "on", "开").to_owned(),
                ("", "false") => pick!(self, "off", "关").to_owned(),
                ("", _) => value,
                (choice, _) => choice.to_owned(),
            }
        };
        let mut differences: Vec<String> = fields
            .map(|field| format!("{} {} → {}", self.field(field), in_words(field, earlier), in_words(field, present)))
            .collect();
        match (&earlier.finetune, &present.finetune) {
            (Some(_), None) => differences.push(format!("{} → {}", self.fine_tuned(), self.trained_afresh())),
            (None, Some(_)) => differences.push(format!("{} → {}", self.trained_afresh(), self.fine_tuned())),
            (Some(earlier), Some(present)) if earlier != present => {
                differences.push(self.other_fine_tuning().to_owned());
            }
            _ => {}
        }
        differences
    }
}
