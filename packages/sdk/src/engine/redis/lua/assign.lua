--- name:   assign
--- caller: member
--- keys:   settings assignment channel
--- args:   now expected_version member_version value
--- reply:  1 | 0
--- Compare-and-set on both versions (A1); a repetition of the write that stands answers 1.
local versions = call("HMGET", KEYS[1], "assignment", "members")
local version, members = tonumber(versions[1] or 0), versions[2] or "0"
if version == ARGV[2] + 1 then
  local stored = call("HMGET", KEYS[2], "members", "value")
  return stored[1] == ARGV[3] and stored[2] == ARGV[4] and 1 or 0
end
if version ~= tonumber(ARGV[2]) or members ~= ARGV[3] then return 0 end
call("HSET", KEYS[2], "members", ARGV[3], "value", ARGV[4])
call("HSET", KEYS[1], "assignment", version + 1)
call("SPUBLISH", KEYS[3], tostring(version + 1))
return 1
