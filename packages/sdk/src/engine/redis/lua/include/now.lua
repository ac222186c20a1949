--- Store time in ms, read once per call. The first argument overrides it in tests (E4).
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
