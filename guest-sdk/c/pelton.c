// The whole SDK as one file to compile: `zig cc --target=wasm32-wasi -mexec-model=reactor … plugin.c pelton.c`.

#ifdef PELTON_PROJECTOR
#include "generated/projector_plugin.c"
#include "generated/projector_plugin_component_type.c"
#else
#include "generated/handler_plugin.c"
#include "generated/handler_plugin_component_type.c"
#endif
#include "src/call.c"
#include "src/effects.c"
#include "src/host.c"
#include "src/read.c"
#include "src/scan.c"
#include "src/write.c"
