--- name:   assignment
--- caller: reader
--- keys:   settings assignment
--- args:   now
--- reply:  version|nil members|nil value|nil
local stored = call("HMGET", KEYS[2], "members", "value")
return { call("HGET", KEYS[1], "assignment"), stored[1], stored[2] }
