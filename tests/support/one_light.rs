//! A simulated hub, and an installation whose only light `one` hangs on it.

use graph2mqtt::lights;
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Hub, Plan};
use graph2mqtt::store::Store;
use tempfile::TempDir;

pub struct OneLight {
    pub hub: Hub,
    pub settings: Settings,
    /// The hub as the program has it.
    pub lights: lights::Hub,
    _folder: TempDir,
}

impl OneLight {
    /// `hub`: further keys of the hub; `light`: those of the light.
    pub async fn on(plan: Plan, hub: &str, light: &str) -> Self {
        let (keys, hub) = (hub, plan.start().await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "hubs: {{ office: {{ host: '{}', id: {}, key: {}{keys} }} }}\n\
             lights: {{ one: {{ hub: office, follow: alex, {light} }} }}\n",
            hub.address(),
            hub.bridge_id(),
            hub.key()
        );
        let settings = settings::from_yaml(&yaml, folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &folder.path().join("store.key")).await.unwrap();
        let lights = lights::hubs(&settings, &store).remove(0);
        Self { hub, settings, lights, _folder: folder }
    }
}
