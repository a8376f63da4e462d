//! The changes by name, each with the most that makes sense of it, and the mixtures that are offered as a whole.

use super::{Amount, Augmentation};

/// One of the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// [`Augmentation::rotation`].
    Rotation,
    /// [`Augmentation::crop`].
    Crop,
    /// [`Augmentation::flip`].
    Flip,
    /// [`Augmentation::scale`].
    Scale,
    /// [`Augmentation::translation`].
    Translation,
    /// [`Augmentation::brightness`].
    Brightness,
    /// [`Augmentation::contrast`].
    Contrast,
    /// [`Augmentation::noise`].
    Noise,
}

impl Change {
    /// All of them.
    pub const ALL: [Change; 8] = [
        Change::Rotation,
        Change::Translation,
        Change::Scale,
        Change::Crop,
        Change::Brightness,
        Change::Contrast,
        Change::Noise,
        Change::Flip,
    ];

    /// Its name, as it travels.
    pub fn name(self) -> &'static str {
        match self {
            Change::Rotation => "rotation",
            Change::Crop => "crop",
            Change::Flip => "flip",
            Change::Scale => "scale",
            Change::Translation => "translation",
            Change::Brightness => "brightness",
            Change::Contrast => "contrast",
            Change::Noise => "noise",
        }
    }

    /// The greatest strength that a user can ask for: beyond it people could not read the digit either.
    pub fn most(self) -> f32 {
        match self {
            Change::Rotation => 45.0,
            Change::Crop | Change::Scale | Change::Noise => 0.4,
            Change::Flip => 1.0,
            Change::Translation => 6.0,
            Change::Brightness => 0.5,
            Change::Contrast => 0.8,
        }
    }

    /// What a slider moves by.
    pub fn step(self) -> f32 {
        match self {
            Change::Rotation | Change::Flip => 1.0,
            Change::Translation => 0.5,
            _ => 0.02,
        }
    }
}

impl Amount {
    /// That strong, for that share of images.
    pub const fn new(strength: f32, probability: f32) -> Self {
        Self { strength, probability }
    }

    /// Whether it changes nothing.
    pub fn is_off(&self) -> bool {
        self.strength <= 0.0 || self.probability <= 0.0
    }

    fn same(&self, other: &Self) -> bool {
        self == other || (self.is_off() && other.is_off())
    }
}

impl Augmentation {
    /// How much of a change.
    pub fn amount(&self, change: Change) -> Amount {
        match change {
            Change::Rotation => self.rotation,
            Change::Crop => self.crop,
            Change::Flip => self.flip,
            Change::Scale => self.scale,
            Change::Translation => self.translation,
            Change::Brightness => self.brightness,
            Change::Contrast => self.contrast,
            Change::Noise => self.noise,
        }
    }

    /// How much of a change, to set it.
    pub fn amount_mut(&mut self, change: Change) -> &mut Amount {
        match change {
            Change::Rotation => &mut self.rotation,
            Change::Crop => &mut self.crop,
            Change::Flip => &mut self.flip,
            Change::Scale => &mut self.scale,
            Change::Translation => &mut self.translation,
            Change::Brightness => &mut self.brightness,
            Change::Contrast => &mut self.contrast,
            Change::Noise => &mut self.noise,
        }
    }

    /// The changes that are made, in order.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let copy = *self;
        Change::ALL.into_iter().filter(move |change| !copy.amount(*change).is_off())
    }
}

/// A mixture that is offered as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Nothing is changed.
    None,
    /// What another writer of the same hand might do.
    Gentle,
    /// Crooked, far off the middle, pale or on bad paper: for digits that come from elsewhere.
    Robust,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 3] = [Preset::None, Preset::Gentle, Preset::Robust];

    /// Its name, as it travels.
    pub fn name(self) -> &'static str {
        match self {
            Preset::None => "none",
            Preset::Gentle => "gentle",
            Preset::Robust => "robust",
        }
    }

    /// What it stands for.
    pub fn augmentation(self) -> Augmentation {
        match self {
            Preset::None => Augmentation::default(),
            Preset::Gentle => Augmentation {
                rotation: Amount::new(10.0, 0.5),
                translation: Amount::new(2.0, 0.5),
                scale: Amount::new(0.1, 0.5),
                ..Augmentation::default()
            },
            Preset::Robust => Augmentation {
                rotation: Amount::new(20.0, 0.7),
                translation: Amount::new(3.0, 0.7),
                scale: Amount::new(0.16, 0.5),
                crop: Amount::new(0.1, 0.3),
                brightness: Amount::new(0.2, 0.3),
                contrast: Amount::new(0.4, 0.3),
                noise: Amount::new(0.1, 0.3),
                ..Augmentation::default()
            },
        }
    }

    /// The mixture that this is, if it is one.
    pub fn of(augmentation: &Augmentation) -> Option<Self> {
        let same = |preset: &Preset| {
            let other = preset.augmentation();
            Change::ALL.into_iter().all(|change| augmentation.amount(change).same(&other.amount(change)))
        };
        Preset::ALL.into_iter().find(same)
    }
}
