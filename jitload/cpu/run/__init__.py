"""Running a grid: batches of thread blocks, who runs next, where lanes wait for each other, and who watches."""
